"""The coefficient network of Deep3DFaceRecon: ResNet-50 with seven 1x1 heads, and reading its checkpoint safely.

State-dict names as in Deep3DFaceRecon_pytorch, models/networks.py (`ReconNetWrapper` without its last fully connected
layer); a checkpoint is {"net_recon": state dict} and may hold optimiser and schedule besides.
"""

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from chdtf.errors import UserError

# one head after another in the 257 columns; the last two are the translation's x and y, and z
HEADS = (80, 64, 80, 3, 27, 2, 1)
NUM_COEFFICIENTS = sum(HEADS)
FEATURES = 2048
STAGES = ((64, 3), (128, 4), (256, 6), (512, 3))  # width and blocks
WHERE = (
    "the checkpoint of 25 April 2023 is linked in the README of github.com/sicxu/Deep3DFaceRecon_pytorch "
    "(epoch_20.pth); earlier ones cannot close the eyes"
)


class Bottleneck(nn.Module):
    """1x1, 3x3 (which has the stride), 1x1 convolutions beside the input: He et al. 2016 in its version 1.5."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = 4 * width
        self.conv1, self.bn1 = nn.Conv2d(inputs, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, outputs, 1, bias=False), nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, inputs, H, W) -> (N, 4 width, H / stride, W / stride)."""
        beside = x if self.downsample is None else self.downsample(x)
        x = functional.relu(self.bn1(self.conv1(x)))
        x = functional.relu(self.bn2(self.conv2(x)))
        return functional.relu(self.bn3(self.conv3(x)) + beside)


class ResNet50(nn.Module):
    """(N, 3, H, W) -> (N, 2048): ResNet-50 up to its pooling, with torchvision's names."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, padding=3, bias=False), nn.BatchNorm2d(64)
        inputs = 64
        for number, (width, blocks) in enumerate(STAGES, 1):
            strides = [1 if number == 1 else 2] + [1] * (blocks - 1)
            layers = [Bottleneck(inputs if k == 0 else 4 * width, width, stride) for k, stride in enumerate(strides)]
            self.add_module(f"layer{number}", nn.Sequential(*layers))
            inputs = 4 * width

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Features of a batch."""
        x = functional.max_pool2d(functional.relu(self.bn1(self.conv1(x))), 3, 2, padding=1)
        for number in range(1, len(STAGES) + 1):
            x = self.get_submodule(f"layer{number}")(x)
        return x.mean(dim=(2, 3))


class ReconNet(nn.Module):
    """(N, 3, 224, 224) float32 RGB in [0, 1] -> (N, 257): identity, expression, texture, angle, gamma, translation."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = ResNet50()
        self.final_layers = nn.ModuleList(nn.Conv2d(FEATURES, size, kernel_size=1) for size in HEADS)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Coefficients of a batch."""
        features = self.backbone(images)[:, :, None, None]
        return torch.cat([head(features) for head in self.final_layers], dim=1).flatten(1)


def load_network(path: Path, device: str = "cpu") -> ReconNet:
    """The network with weights from a checkpoint, in evaluation mode.

    Raises `UserError` when the file is missing or holds something else: missing and unexpected names, other shapes,
    values that are not finite. Nothing in the file is executed.
    """
    place = pick_device(device)
    weights = _read(find_checkpoint(path))
    network = ReconNet()
    _check(path, weights, network.state_dict())
    network.load_state_dict(dict(weights), strict=False)  # batch counters, which evaluation does not use, may be absent
    return network.to(place).eval()


def find_checkpoint(path: Path) -> Path:
    """The path of a file that is there. Raises `UserError` that says where to get it."""
    if not path.is_file():
        raise UserError(f"{path}: no such file; {WHERE}")
    return path


def pick_device(name: str) -> torch.device:
    """A torch device by name. Raises `UserError` if it is not there."""
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UserError(f"device {name!r} is not known; use cpu, cuda or cuda:0") from error
    kinds = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not kinds.get(device.type, False) or (
        device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count()
    ):
        raise UserError(f"device {name!r} is not available here; use cpu")
    return device


def _read(path: Path) -> Mapping[str, torch.Tensor]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of pickle versions; what cannot be read is an error
            found: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (
        torch.serialization.pickle.UnpicklingError,
        RuntimeError,
        EOFError,
        ValueError,
        KeyError,
        AttributeError,
        OSError,
    ) as error:
        raise UserError(f"{path}: not a checkpoint of weights ({_why(error)}); {WHERE}") from error
    if not isinstance(found, dict) or not isinstance(found.get("net_recon"), Mapping):
        held = ", ".join(str(key) for key in list(found)[:6]) if isinstance(found, dict) else type(found).__name__
        raise UserError(f"{path}: no state dict 'net_recon', it holds {held}; {WHERE}")
    weights: Mapping[str, torch.Tensor] = found["net_recon"]
    return weights


def _why(error: Exception) -> str:
    """PyTorch's own words recommend to load the file unsafely, so they are not repeated."""
    text = str(error)
    foreign = re.search(r"GLOBAL (\S+)", text)
    if foreign:
        return f"it holds a Python object, {foreign[1]}, and those are not loaded"
    if "weights_only" in text or not text:
        return "torch.save did not write it"
    return text.splitlines()[0][:200]


def _check(path: Path, weights: Mapping[str, Any], wanted: Mapping[str, torch.Tensor]) -> None:
    needed = [name for name in wanted if not name.endswith("num_batches_tracked")]
    missing = [name for name in needed if not isinstance(weights.get(name), torch.Tensor)]
    unexpected = [str(name) for name in weights if name not in wanted]
    if missing or unexpected:
        parts = [
            f"{len(names)} {kind} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})"
            for kind, names in (("weights missing", missing), ("unexpected", unexpected))
            if names
        ]
        raise UserError(f"{path}: not Deep3DFaceRecon's ResNet-50: {' and '.join(parts)}; {WHERE}")
    for name in needed:
        found, expected = weights[name], wanted[name]
        if found.shape != expected.shape:
            raise UserError(f"{path}: {name} is {tuple(found.shape)}, expected {tuple(expected.shape)}; {WHERE}")
        if not torch.isfinite(found).all():
            raise UserError(f"{path}: {name} has values that are not finite; the file is damaged, take it again")
