"""Convolutions with fewer multiplications: Cook-Toom (Winograd) minimal filtering, for networks run on one CPU core.

Lavin and Gray, CVPR 2016; transforms by transposing Toom-Cook multiplication (Barabasz et al., ACM TOMS 2020). Pictures
are (N, H, W, C), float32. Rounding errors stay within twice those of the direct convolution for the sizes used here.
"""

import functools
from typing import Any

import numpy as np

# Powers of two and small integers: transforms by them round little
_POINTS = (0.0, 1.0, -1.0, 2.0, -0.5, -2.0, 0.5, 4.0, -0.25)
_CACHED = 8_000  # numbers that a transform takes at each of its points


@functools.lru_cache(maxsize=16)
def cook_toom(outputs: int, taps: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Matrices (A, G, B) of F(m, r): y = A @ ((G @ g) * (B @ d)) with y[i] = sum_k g[k] d[i + k].

    float64: A (m, m + r - 1), G (m + r - 1, r), B (m + r - 1, m + r - 1). The last point is infinity, where only the
    last tap counts. Raises `ValueError` when more points would be needed than are known to round well.
    """
    length = outputs + taps - 1
    if length - 1 > len(_POINTS):
        raise ValueError(f"F({outputs}, {taps}) needs {length - 1} points, {len(_POINTS)} are known to round well")

    def vandermonde(columns: int) -> np.ndarray:
        finite = np.vander(_POINTS[: length - 1], columns, increasing=True)
        return np.concatenate([finite, np.eye(columns)[-1:]])

    transform = np.linalg.inv(vandermonde(length)).T
    scale = np.abs(transform).sum(axis=1)  # each transformed value as large as its inputs
    return vandermonde(outputs).T, vandermonde(taps) * scale[:, None], transform / scale[:, None]


class FastConv2d:
    """One 2-D convolution with square kernel and stride, by tiles of `tile` x `tile` outputs.

    A stride of s is a convolution of the picture's s x s phases, stacked as channels, with as many smaller kernels.
    """

    def __init__(self, weight: Any, bias: Any, stride: int = 1, padding: int = 0, tile: int = 4) -> None:
        """`weight` tensor (O, C, K, K), `bias` (O,)."""
        import torch

        num_out, num_in, self.kernel, _ = weight.shape
        self.stride, self.padding, self.tile, self.bias = stride, padding, tile, bias.float()
        taps = -(-self.kernel // stride)
        padded = np.zeros((num_out, num_in, taps * stride, taps * stride))
        padded[:, :, : self.kernel, : self.kernel] = weight.double().numpy()
        phases = padded.reshape(num_out, num_in, taps, stride, taps, stride)
        a, g, b = cook_toom(tile, taps)
        self.span = len(g)  # inputs of a tile along one side
        kernels = np.einsum("pi,qj,ocisjt->pqstco", g, g, phases, optimize=True)
        kernels = kernels.reshape(self.span**2, stride**2 * num_in, num_out)
        self.kernels, self.inward, self.outward = (
            torch.from_numpy(np.ascontiguousarray(matrix, np.float32))
            for matrix in (kernels, np.kron(b, b), np.kron(a, a))
        )

    def __call__(self, pictures: Any) -> Any:
        """(N, H, W, C) -> (N, H', W', O), bias added. Up to eight pictures at a time are fastest."""
        import torch

        count, height, width, _ = pictures.shape
        rows = (height + 2 * self.padding - self.kernel) // self.stride + 1
        columns = (width + 2 * self.padding - self.kernel) // self.stride + 1
        down, across = -(-rows // self.tile), -(-columns // self.tile)
        points, num_in, num_out = self.kernels.shape
        inner, outer = down * across * num_in, down * across * num_out
        # so many pictures at a time that what a transform reads and writes fits into the processor's cache
        some = max(1, _CACHED // inner)
        transformed = pictures.new_empty(points, count * inner)
        for i in range(0, count, some):
            tiles = self._tiles(pictures[i : i + some], down, across).view(points, -1)
            torch.mm(self.inward, tiles, out=transformed[:, i * inner : i * inner + tiles.shape[1]])
        products = torch.bmm(transformed.view(points, count * down * across, num_in), self.kernels).view(points, -1)
        made = pictures.new_empty(count, down, self.tile, across, self.tile, num_out)
        for i in range(0, count, some):
            tiles = torch.mm(self.outward, products[:, i * outer : (i + some) * outer])
            made[i : i + some] = tiles.view(self.tile, self.tile, -1, down, across, num_out).permute(2, 3, 0, 4, 1, 5)
        made = made.view(count, down * self.tile, across * self.tile, num_out)[:, :rows, :columns]
        return made.add_(self.bias)

    def _tiles(self, pictures: Any, down: int, across: int) -> Any:
        """(N, H, W, C) -> (span, span, N, down, across, stride, stride, C): overlapping tiles of pictures' phases."""
        count, height, width, channels = pictures.shape
        step, size = self.tile * self.stride, self.span * self.stride
        padded = pictures.new_zeros(count, (down - 1) * step + size, (across - 1) * step + size, channels)
        inside = padded[:, self.padding : self.padding + height, self.padding : self.padding + width]
        inside.copy_(pictures[:, : inside.shape[1], : inside.shape[2]])
        n, h, w, c = padded.stride()
        sizes = (self.span, self.span, count, down, across, self.stride, self.stride, channels)
        strides = (h * self.stride, w * self.stride, n, h * step, w * step, h, w, c)
        return padded.as_strided(sizes, strides).contiguous()
