"""The losses of Ren et al. 2021, Section 3.4, on a pyramid of resolutions, and a plain one where no network is at hand.

Perceptual: L1 of features (Johnson et al. 2016). Style: L1 of their Gram matrices. The paper's network is VGG-19,
which the user supplies; AlexNet's features, of LPIPS, may take its place. AlexNet begins with steps of 4 px, so that
single pixels escape it, and without any network nothing is left: for both there is the L1 distance of the images.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from chdtf import weights
from chdtf.alexnet import read_features
from chdtf.errors import UserError

NONE, ALEXNET, VGG19 = "none", "alexnet", "vgg19"
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's pixels
_ALEXNET_STEPS = {"0": (4, 2), "3": (1, 2), "6": (1, 1), "8": (1, 1), "10": (1, 1)}  # stride and padding
_VGG19_WIDTHS = ((64, 2), (128, 2), (256, 4), (512, 4), (512, 1))  # width and convolutions up to relu5_1
_SMALLEST_PX = 32  # images of the pyramid below this are left out


class Features(nn.Module):
    """Layers after each of which features are compared; not trained."""

    def __init__(self, layers: Sequence[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.register_buffer("mean", torch.tensor(_MEAN).reshape(1, 3, 1, 1))
        self.register_buffer("deviation", torch.tensor(_DEVIATION).reshape(1, 3, 1, 1))
        self.requires_grad_(False)

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Images (N, 3, H, W) in [-1, 1] -> features by layer."""
        x = ((images + 1) / 2 - self.get_buffer("mean")) / self.get_buffer("deviation")
        found = []
        for layer in self.layers:
            x = layer(x)
            found.append(x)
        return found


def load_features(name: str) -> Features | None:
    """`alexnet` (of the registry of weights), `vgg19:FILE` (torchvision's state dict), or `none`: None.

    Raises `UserError` for another name, or when the file is absent or another one.
    """
    kind, _, path = name.partition(":")
    if name == NONE:
        return None
    if name == ALEXNET:
        found = weights.find(ALEXNET)
        if found is None:
            raise UserError("perceptual alexnet: its weights are not here; run: disentbench weights fetch alexnet")
        return _alexnet(read_features(found))
    if kind == VGG19 and path:
        return _vgg19(Path(path))
    raise UserError(f"perceptual {name!r} is not known; use alexnet, vgg19:FILE (torchvision's weights) or none")


def pyramid(images: torch.Tensor, scales: int) -> list[torch.Tensor]:
    """The images and their halves, quarters, ..., `scales` in all, none under 32 px."""
    found = [images]
    while len(found) < scales and min(found[-1].shape[-2:]) >= 2 * _SMALLEST_PX:
        found.append(F.avg_pool2d(found[-1], 2))
    return found


def gram(features: torch.Tensor) -> torch.Tensor:
    """(N, C, H, W) -> (N, C, C), divided by C H W."""
    flat = features.flatten(2)
    return flat @ flat.transpose(1, 2) / flat[0].numel()


@dataclasses.dataclass(frozen=True)
class LossWeights:
    """The paper's (Section 4: 2.5, 4, 1000), and that of the L1 distance, which the paper does not have."""

    warp: float = 2.5  # perceptual, of the warped image
    content: float = 4.0  # perceptual, of the finished image
    style: float = 1000.0  # Gram matrices, of the finished image
    pixels: float = 10.0  # L1 of the finished image, a quarter as much of the warped one; 0 with a VGG is the paper
    scales: int = 4  # resolutions, each half of the one before


def total_loss(
    warped: torch.Tensor,
    image: torch.Tensor | None,
    target: torch.Tensor,
    features: Features | None,
    factors: LossWeights,
) -> tuple[torch.Tensor, dict[str, float]]:
    """The loss, and its weighted terms by name. Images are (N, 3, H, W) in [-1, 1]; no `image` in the warp stage."""
    wanted = pyramid(target, factors.scales)
    terms = {"warp_pixels": factors.pixels / 4 * _distance(pyramid(warped.float(), factors.scales), wanted)}
    if image is not None:
        terms["pixels"] = factors.pixels * _distance(pyramid(image.float(), factors.scales), wanted)
    if features is not None:
        with torch.no_grad():
            reference = [features(part) for part in wanted]
        seen = [features(part) for part in pyramid(warped.float(), factors.scales)]
        terms["warp"] = factors.warp * sum(map(_distance, seen, reference), seen[0][0].new_zeros(()))
        if image is not None:
            seen = [features(part) for part in pyramid(image.float(), factors.scales)]
            terms["content"] = factors.content * sum(map(_distance, seen, reference), seen[0][0].new_zeros(()))
            grams = [[gram(layer) for layer in scale] for scale in (seen[0], reference[0])]
            terms["style"] = factors.style * _distance(*grams)
    return torch.stack(list(terms.values())).sum(), {name: float(term.detach()) for name, term in terms.items()}


def _distance(found: Sequence[torch.Tensor], wanted: Sequence[torch.Tensor]) -> torch.Tensor:
    """Sum over parts of the mean absolute difference."""
    return torch.stack([F.l1_loss(one, other) for one, other in zip(found, wanted, strict=True)]).sum()


def _filled(convolution: nn.Conv2d, weight: torch.Tensor, bias: torch.Tensor) -> nn.Conv2d:
    convolution.weight, convolution.bias = nn.Parameter(weight), nn.Parameter(bias)
    return convolution


def _alexnet(state: dict[str, torch.Tensor]) -> Features:
    layers = []
    for number, (name, (stride, padding)) in enumerate(_ALEXNET_STEPS.items()):
        weight = state[f"{name}.weight"]
        kernel = nn.Conv2d(weight.shape[1], weight.shape[0], weight.shape[2], stride, padding)
        pool = [nn.MaxPool2d(3, 2)] if number in {1, 2} else []  # before the second and the third convolution
        layers.append(nn.Sequential(*pool, _filled(kernel, weight, state[f"{name}.bias"]), nn.ReLU()))
    return Features(layers)


def _vgg19(path: Path) -> Features:
    """Relu1_1, relu2_1, ... relu5_1 of torchvision's VGG-19."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        plain = {str(name).removeprefix("features."): tensor for name, tensor in state.items()}
        return Features(_vgg19_layers(plain))
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; VGG-19's weights are torchvision's vgg19-dcbb9e9d.pth") from error
    except Exception as error:  # whatever the reader trips over in a file that is none
        raise UserError(f"{path}: not the weights of torchvision's VGG-19 ({type(error).__name__})") from error


def _vgg19_layers(state: dict[str, torch.Tensor]) -> list[nn.Module]:
    layers: list[nn.Module] = []
    rest: list[nn.Module] = []  # what lies between the last compared layer and the next
    number, inputs = 0, 3
    for width, count in _VGG19_WIDTHS:
        for position in range(count):
            weight = state[f"{number}.weight"].reshape(width, inputs, 3, 3).float()
            kernel = _filled(nn.Conv2d(inputs, width, 3, padding=1), weight, state[f"{number}.bias"].float())
            rest += [kernel, nn.ReLU()]
            number, inputs = number + 2, width
            if position == 0:
                layers.append(nn.Sequential(*rest))
                rest = []
        rest.append(nn.MaxPool2d(2))
        number += 1
    return layers
