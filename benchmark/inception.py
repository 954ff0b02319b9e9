"""Inception v3 as FID uses it, up to its pooling: plain PyTorch with torchvision's names of layers.

It is the network of 2015-12-05 (Szegedy et al. 2016) as mseitzer/pytorch-fid converted it. It differs from
torchvision's in its pooling branches: averages leave out the padding, and the last block takes the maximum.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from chdtf.threads import one_thread

FEATURES = 2048
SIZE_PX = 299
BATCH = 16


class Layer(NamedTuple):
    """A convolution with batch normalisation and ReLU; padded to keep the size at stride 1."""

    name: str
    outputs: int
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1


Branch = Sequence[Layer | tuple[Layer, Layer]]  # a pair: both take the same input, and stand side by side in the output
SQUARE, LARGE, ROW, COLUMN, WIDE, TALL = (3, 3), (5, 5), (1, 7), (7, 1), (1, 3), (3, 1)


class Convolution(nn.Module):
    """(N, inputs, H, W) -> (N, outputs, H', W')."""

    def __init__(self, inputs: int, outputs: int, kernel: tuple[int, int], stride: int, is_padded: bool) -> None:
        super().__init__()
        padding = (kernel[0] // 2, kernel[1] // 2) if is_padded else (0, 0)
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=0.001)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Convolve, normalise, cut off below zero."""
        return functional.relu(self.bn(self.conv(x)))


class Mixed(nn.Module):
    """Branches side by side, the last of which pools: "average", "maximum", or "reduce" (stride 2, no convolution)."""

    def __init__(self, inputs: int, branches: Sequence[Branch], pool: str, pool_outputs: int = 192) -> None:
        super().__init__()
        self.branches, self.pool = branches, pool
        for branch in branches:
            width = inputs
            for step in branch:
                layers = [step] if isinstance(step, Layer) else list(step)
                for layer in layers:
                    made = Convolution(width, layer.outputs, layer.kernel, layer.stride, layer.stride == 1)
                    self.add_module(layer.name, made)
                width = sum(layer.outputs for layer in layers)
        if pool != "reduce":
            self.branch_pool = Convolution(inputs, pool_outputs, (1, 1), 1, False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, inputs, H, W) -> (N, all outputs, H', W')."""
        found = []
        for branch in self.branches:
            y = x
            for step in branch:
                layers = [step] if isinstance(step, Layer) else list(step)
                y = torch.cat([self.get_submodule(layer.name)(y) for layer in layers], dim=1)
            found.append(y)
        return torch.cat([*found, self._pooled(x)], dim=1)

    def _pooled(self, x: torch.Tensor) -> torch.Tensor:
        if self.pool == "reduce":
            return functional.max_pool2d(x, 3, 2)
        if self.pool == "maximum":
            y = functional.max_pool2d(x, 3, 1, padding=1)
        else:
            y = functional.avg_pool2d(x, 3, 1, padding=1, count_include_pad=False)
        pooled: torch.Tensor = self.branch_pool(y)
        return pooled


def _a(inputs: int, pool_outputs: int) -> Mixed:
    large = (Layer("branch5x5_1", 48), Layer("branch5x5_2", 64, LARGE))
    double = (
        Layer("branch3x3dbl_1", 64),
        Layer("branch3x3dbl_2", 96, SQUARE),
        Layer("branch3x3dbl_3", 96, SQUARE),
    )
    return Mixed(inputs, ((Layer("branch1x1", 64),), large, double), "average", pool_outputs)


def _b() -> Mixed:
    double = (
        Layer("branch3x3dbl_1", 64),
        Layer("branch3x3dbl_2", 96, SQUARE),
        Layer("branch3x3dbl_3", 96, SQUARE, 2),
    )
    return Mixed(288, ((Layer("branch3x3", 384, SQUARE, 2),), double), "reduce")


def _c(width: int) -> Mixed:
    single = (Layer("branch7x7_1", width), Layer("branch7x7_2", width, ROW), Layer("branch7x7_3", 192, COLUMN))
    double = (
        Layer("branch7x7dbl_1", width),
        Layer("branch7x7dbl_2", width, COLUMN),
        Layer("branch7x7dbl_3", width, ROW),
        Layer("branch7x7dbl_4", width, COLUMN),
        Layer("branch7x7dbl_5", 192, ROW),
    )
    return Mixed(768, ((Layer("branch1x1", 192),), single, double), "average")


def _d() -> Mixed:
    square = (Layer("branch3x3_1", 192), Layer("branch3x3_2", 320, SQUARE, 2))
    seven = (
        Layer("branch7x7x3_1", 192),
        Layer("branch7x7x3_2", 192, ROW),
        Layer("branch7x7x3_3", 192, COLUMN),
        Layer("branch7x7x3_4", 192, SQUARE, 2),
    )
    return Mixed(768, (square, seven), "reduce")


def _e(inputs: int, pool: str) -> Mixed:
    single = (Layer("branch3x3_1", 384), (Layer("branch3x3_2a", 384, WIDE), Layer("branch3x3_2b", 384, TALL)))
    double = (
        Layer("branch3x3dbl_1", 448),
        Layer("branch3x3dbl_2", 384, SQUARE),
        (Layer("branch3x3dbl_3a", 384, WIDE), Layer("branch3x3dbl_3b", 384, TALL)),
    )
    return Mixed(inputs, ((Layer("branch1x1", 320),), single, double), pool)


class Inception(nn.Module):
    """(N, 3, 299, 299) float32 RGB in [-1, 1] -> (N, 2048)."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = Convolution(3, 32, SQUARE, 2, False)
        self.Conv2d_2a_3x3 = Convolution(32, 32, SQUARE, 1, False)
        self.Conv2d_2b_3x3 = Convolution(32, 64, SQUARE, 1, True)
        self.Conv2d_3b_1x1 = Convolution(64, 80, (1, 1), 1, False)
        self.Conv2d_4a_3x3 = Convolution(80, 192, SQUARE, 1, False)
        self.Mixed_5b, self.Mixed_5c, self.Mixed_5d = _a(192, 32), _a(256, 64), _a(288, 64)
        self.Mixed_6a = _b()
        self.Mixed_6b, self.Mixed_6c, self.Mixed_6d, self.Mixed_6e = _c(128), _c(160), _c(160), _c(192)
        self.Mixed_7a = _d()
        self.Mixed_7b, self.Mixed_7c = _e(1280, "average"), _e(2048, "maximum")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Features of a batch."""
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(functional.max_pool2d(x, 3, 2)))
        x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(functional.max_pool2d(x, 3, 2))))
        x = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(x)))))
        x = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x)))
        return x.mean(dim=(2, 3))


def load_inception(path: Path) -> Inception:
    """The network with pytorch-fid's weights, on the CPU, in evaluation mode. The classifier's weights are not used."""
    state = torch.load(path, map_location="cpu", weights_only=True)
    network = Inception()
    network.load_state_dict({name: value for name, value in state.items() if not name.startswith("fc.")})
    return network.eval()


def features(network: nn.Module, frames: np.ndarray) -> np.ndarray:
    """Pooled features of uint8 (N, H, W, 3) RGB frames, float32 (N, 2048).

    Scaled to [0, 1], resized to 299x299 (bilinear, corners not aligned, no smoothing), then to [-1, 1], as pytorch-fid
    0.3.0 does.
    """
    found = []
    with torch.inference_mode(), one_thread():
        for begin in range(0, len(frames), BATCH):
            pixels = torch.from_numpy(np.ascontiguousarray(frames[begin : begin + BATCH].transpose(0, 3, 1, 2)))
            x = functional.interpolate(
                pixels.float() / 255, size=(SIZE_PX, SIZE_PX), mode="bilinear", align_corners=False
            )
            found.append(network(2 * x - 1))
    features_: np.ndarray = torch.cat(found).numpy()
    return features_
