"""SyncNet's network for whole clips on one CPU core: the numbers of syncnet-python's, in less than half the time.

What neighbouring windows share is computed once, batch norms are folded into the convolutions, pictures lie channels
last, and most convolutions are of `chdtf.fast_conv`. Features differ from the original's by some 1e-6 of their size, as
the original's own do between one order of summation and another.
"""

from typing import Any

import numpy as np

from chdtf.fast_conv import FastConv2d, cook_toom

CROP_PX = 224
_BATCH = 24  # windows, in whole steps of the first layer
_OUTPUTS = 6  # windows that one step of the first layer gives
_TAPS = 5  # frames that its kernels span
_SIDE = 109  # px of its output
_BAND = 28  # rows of it at a time


def _folded(convolution: Any, norm: Any) -> tuple[Any, Any]:
    """Weight and bias of a convolution or linear layer with the batch norm after it, float64."""
    parts = (convolution.weight, convolution.bias, norm.weight, norm.bias)
    kernel, bias, gain, shift = (part.detach().double() for part in parts)
    scale = gain / (norm.running_var.double() + norm.eps).sqrt()
    folded = kernel * scale.reshape(-1, *[1] * (kernel.dim() - 1))
    return folded, (bias - norm.running_mean.double()) * scale + shift


class _Direct:
    """A linear layer, or a convolution that leaves one pixel, of pictures with channels last."""

    def __init__(self, weight: Any, bias: Any) -> None:
        pictures = weight.reshape(*weight.shape[:2], -1)
        self.weight, self.bias = pictures.transpose(1, 2).reshape(len(weight), -1).float().contiguous(), bias.float()

    def __call__(self, x: Any) -> Any:
        import torch

        return torch.nn.functional.linear(x, self.weight, self.bias)


def _pool(x: Any, kernel: int, stride: tuple[int, int], padding: int = 0) -> Any:
    """Maxima of (N, H, W, C)."""
    import torch

    return torch.nn.functional.max_pool2d(x.permute(0, 3, 1, 2), kernel, stride, padding).permute(0, 2, 3, 1)


class _FirstLayer:
    """The convolution over five frames, 7x7, stride 2, by F(6, 5) in time; then ReLU and pooling."""

    def __init__(self, weight: Any, bias: Any) -> None:
        """`weight` (96, 3, 5, 7, 7), of pictures in BGR; they are given in RGB."""
        import torch

        a, g, b = cook_toom(_OUTPUTS, _TAPS)
        self.inward, self.outward = (torch.from_numpy(matrix.astype(np.float32)) for matrix in (b, a))
        self.bias = bias.float()
        kernels = np.einsum("pt,octij->pocij", g, weight.numpy()[:, ::-1], optimize=True).astype(np.float32)
        self.kernels = [torch.from_numpy(k).contiguous(memory_format=torch.channels_last) for k in kernels]

    def __call__(self, frames: Any) -> Any:
        """uint8 (T, 224, 224, 3) RGB -> (T - 4, 54, 54, 96)."""
        import torch

        count = len(frames) - _TAPS + 1
        wanted = -(-count // _OUTPUTS) * _OUTPUTS + _TAPS - 1
        flat = frames.view(len(frames), -1).float()
        flat = torch.nn.functional.pad(flat, (0, 0, 0, wanted - len(frames)))
        pooled = [self._step(flat[i : i + len(self.kernels)]) for i in range(0, count, _OUTPUTS)]
        # rounding is monotonic: the bias may come after the maximum, where there are a quarter as many numbers
        return torch.cat(pooled)[:count].add_(self.bias).relu_()

    def _step(self, flat: Any) -> Any:
        import torch

        span = len(self.kernels)
        inputs = torch.mm(self.inward, flat).view(span, CROP_PX, CROP_PX, 3).permute(0, 3, 1, 2)
        made = inputs.new_empty(_OUTPUTS, _SIDE, _SIDE, len(self.bias))
        for top in range(0, _SIDE, _BAND):
            band = inputs[:, :, 2 * top : 2 * min(_SIDE, top + _BAND) + 5]
            products = inputs.new_empty(span, (band.shape[2] - 5) // 2, _SIDE, len(self.bias))
            for i, kernel in enumerate(self.kernels):
                products[i] = torch.nn.functional.conv2d(band[i : i + 1], kernel, stride=2)[0].permute(1, 2, 0)
            sums = torch.mm(self.outward, products.view(span, -1))
            made[:, top : top + _BAND] = sums.view(_OUTPUTS, *products.shape[1:])
        return _pool(made, 3, (2, 2))


class FastSyncNet:
    """Both streams, built from a `SyncNetModel` of syncnet-python in evaluation mode."""

    def __init__(self, network: Any) -> None:
        lip, sound = network.netcnnlip, network.netcnnaud
        self._first = _FirstLayer(*_folded(lip[0], lip[1]))
        self._second = _fast(lip, 4, tile=4, stride=2)
        self._lip = [_fast(lip, i, tile=5) for i in (8, 11, 14)]
        self._lip_end = [_Direct(*_folded(lip[18], lip[19])), *_head(network.netfclip)]
        weight, bias = _folded(sound[0], sound[1])
        self._sound_first = weight.float(), bias.float()
        self._sound = [_fast(sound, 4, tile=4), *(_fast(sound, i, tile=3) for i in (8, 11, 14))]
        self._sound_end = [_Direct(*_folded(sound[18], sound[19])), *_head(network.netfcaud)]

    def lips(self, crops: np.ndarray) -> np.ndarray:
        """Features of all windows of five frames: uint8 (T, 224, 224, 3) RGB -> float32 (T - 4, 1024)."""
        import torch

        found = []
        with torch.inference_mode():
            count = len(crops) - _TAPS + 1
            for begin in range(0, count, _BATCH):
                steps = range(begin, min(count, begin + _BATCH), _OUTPUTS)
                x = torch.cat([self._small(crops[i : min(i + _OUTPUTS, begin + _BATCH) + _TAPS - 1]) for i in steps])
                for layer in self._lip:
                    x = layer(x).relu_()
                found.append(_pool(x, 3, (2, 2)).flatten(1))
            features: np.ndarray = _end(torch.cat(found), self._lip_end).numpy()
        return features

    def _small(self, crops: np.ndarray) -> Any:
        """The first two layers of one step's windows, whose pictures are large: (N, 13, 13, 256)."""
        import torch

        x = self._first(torch.from_numpy(np.ascontiguousarray(crops)))
        return _pool(self._second(x).relu_(), 3, (2, 2), 1)

    def sounds(self, cepstra: np.ndarray) -> np.ndarray:
        """float32 (N, 13, 20) MFCC -> float32 (N, 1024)."""
        import torch

        found = []
        with torch.inference_mode():
            for begin in range(0, len(cepstra), _BATCH):
                x = torch.from_numpy(np.ascontiguousarray(cepstra[begin : begin + _BATCH, None]))
                x = torch.nn.functional.conv2d(x, *self._sound_first, padding=1).relu_().permute(0, 2, 3, 1)
                x = _pool(self._sound[0](x).relu_(), 3, (1, 2))
                for layer in self._sound[1:]:
                    x = layer(x).relu_()
                found.append(_pool(x, 3, (2, 2)).flatten(1))
            features: np.ndarray = _end(torch.cat(found), self._sound_end).numpy()
        return features


def _fast(layers: Any, index: int, tile: int, stride: int = 1) -> FastConv2d:
    """The convolution at `index`, whose kernel is flat in time, with the batch norm after it."""
    weight, bias = _folded(layers[index], layers[index + 1])
    return FastConv2d(weight.reshape(*weight.shape[:2], *weight.shape[-2:]), bias, stride, 1, tile)


def _head(layers: Any) -> list[_Direct]:
    last = layers[3]
    return [_Direct(*_folded(layers[0], layers[1])), _Direct(last.weight.detach(), last.bias.detach())]


def _end(x: Any, layers: list[_Direct]) -> Any:
    for layer in layers[:-1]:
        x = layer(x).relu_()
    return layers[-1](x)
