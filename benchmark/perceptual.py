"""LPIPS, the learned perceptual distance of two images (Zhang et al., CVPR 2018), for the metrics that rest on it.

The network is the package `lpips`, net "alex", version 0.1: its linear layers come with its wheel, AlexNet's
convolutions from the registry of weights. Images go in as RGB in [-1, 1], at the size that they have.
"""

import contextlib
import dataclasses
import importlib
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.footage import Footage, Unscored, paired
from chdtf import weights
from chdtf.alexnet import read_features
from chdtf.threads import one_thread

BATCH = 8  # frames; the features of one take 2.5 MB
_COMPUTED = ("lins.", "scaling_layer.")  # in the state dict, and not in files: names for the layers, and constants

Features = list[Any]  # one tensor (N, C, H, W) a layer, of unit length over C


@dataclasses.dataclass(frozen=True, eq=False)
class Curves:
    """LPIPS at every frame t of a generated video, float64 (T,) each, NaN where there is no such pair of frames."""

    to_reference: np.ndarray  # between the video and its reference
    consecutive: np.ndarray  # between frames t and t - 1 of the video
    reference_consecutive: np.ndarray  # the same of the reference, at the same moments


def load_lpips() -> Any:
    """The network with trained weights, on the CPU. Raises `Unscored` when they are absent or another file."""
    found = weights.check("alexnet")
    if found.state == "missing":
        raise Unscored(f"weights_missing: {found.weights.filename}; {found.detail}")
    if found.state != "ok":
        raise Unscored(f"weights_mismatch: {found.path.name}: {found.detail}")
    return build(read_features(found.path))


def build(trunk: dict[str, Any]) -> Any:
    """`lpips.LPIPS` with the given convolutions (`chdtf.alexnet.read_features`) and its wheel's linear layers."""
    import torch

    lpips = _import_lpips()
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")  # it calls torchvision by an old name
        model = lpips.LPIPS(net="alex", version="0.1", pretrained=False, pnet_rand=True, verbose=False)
    heads = Path(lpips.__file__).parent / "weights" / "v0.1" / "alex.pth"
    state = torch.load(heads, map_location="cpu", weights_only=True)
    names = {name.split(".", 2)[-1]: name for name in model.state_dict() if name.startswith("net.")}
    state |= {names[short]: tensor for short, tensor in trunk.items()}
    result = model.load_state_dict(state, strict=False)
    absent = [name for name in result.missing_keys if not name.startswith(_COMPUTED)]
    if absent or result.unexpected_keys:
        raise ValueError(f"lpips: layers {absent} have no weights, {result.unexpected_keys} are of no layer")
    return model.eval().requires_grad_(False).to(memory_format=torch.channels_last)


def curves(generated: Footage, reference: Footage | None, model: Any) -> Curves:
    """Both videos' distances in one pass, so that a frame goes through the network once for all metrics."""
    frames, begin = (None, 0) if reference is None else (reference.frames, reference.start_frame)

    def compute() -> tuple[np.ndarray | None, Curves]:
        with one_thread():
            return frames, _curves(generated, reference, model)

    # the reference's frames are kept with the result, so that no others can have their id
    return generated.once(f"lpips to {id(frames)} from {begin}", compute)[1]


def _curves(generated: Footage, reference: Footage | None, model: Any) -> Curves:
    count = generated.num_frames
    found = Curves(*(np.full(count, np.nan) for _ in range(3)))
    common, shift = (0, 0), 0
    if reference is not None:
        with contextlib.suppress(Unscored):  # no common frames: LPIPS itself will say so
            ours, theirs = paired(generated, reference)
            common, shift = (ours.start, ours.stop), theirs.start - ours.start
    before: Features = []
    before_reference: Features = []
    for begin in range(0, count, BATCH):
        end = min(begin + BATCH, count)
        own = features(model, generated.frames[begin:end])
        _fill(found.consecutive, begin, before, own, model)
        before = [layer[-1:] for layer in own]
        low, high = max(begin, common[0]), min(end, common[1])
        if reference is None or low >= high:
            continue
        other = features(model, reference.frames[low + shift : high + shift])
        found.to_reference[low:high] = distances(model, [layer[low - begin : high - begin] for layer in own], other)
        _fill(found.reference_consecutive, low, before_reference, other, model)
        before_reference = [layer[-1:] for layer in other]
    return found


def _fill(curve: np.ndarray, begin: int, before: Features, now: Features, model: Any) -> None:
    """Distances of frames that follow each other, the first of them to the last of the batch `before`."""
    import torch

    if before:
        earlier = [torch.cat([last, layer[:-1]]) for last, layer in zip(before, now, strict=True)]
        curve[begin : begin + len(now[0])] = distances(model, earlier, now)
    elif len(now[0]) > 1:
        first, second = [layer[:-1] for layer in now], [layer[1:] for layer in now]
        curve[begin + 1 : begin + len(now[0])] = distances(model, first, second)


def features(model: Any, frames: np.ndarray) -> Features:
    """Unit features of all layers: uint8 (N, H, W, 3) RGB -> tensors (N, C, h, w)."""
    import torch

    lpips = _import_lpips()

    with torch.inference_mode():
        images = torch.from_numpy(np.array(frames)).permute(0, 3, 1, 2).float() / 127.5 - 1
        layers = model.net(model.scaling_layer(images.contiguous(memory_format=torch.channels_last)))
        return [lpips.normalize_tensor(layer) for layer in layers]


def distances(model: Any, first: Features, second: Features) -> np.ndarray:
    """LPIPS of N pairs of images by their `features`, float64 (N,); 0 for equal ones, the same either way round."""
    import torch

    with torch.inference_mode():
        by_layer = [
            linear((a - b) ** 2).mean((1, 2, 3)) for linear, a, b in zip(model.lins, first, second, strict=True)
        ]
        return np.asarray(sum(by_layer).double().numpy())


def _import_lpips() -> Any:
    """The package `lpips`, which imports torchvision; that one's wheel wants operators of a CUDA build of PyTorch.

    They are never called here. Beside a CPU build it is enough that they are declared.
    """
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        _declare_operators()
    return importlib.import_module("lpips")


def _declare_operators() -> None:
    import torch

    for name in ("nms", "qnms"):
        torch.library.define(f"torchvision::{name}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
