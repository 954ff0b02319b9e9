"""Warping by a flow field.

The grid's corners are -1 and 1 (`align_corners=True`), but it is enlarged and sampled with `align_corners=False`, zeros
outside: what PyTorch 1.7.1, which the official weights were trained with, does by default. So a flow of zero enlarges
the picture by 64 / 63; a trained network makes up for it, and the official weights need it so.
"""

import torch
from torch.nn import functional as F  # noqa: N812


def widened(x: torch.Tensor) -> torch.Tensor:
    """float32 of a half-precision tensor; float32 and float64 as they are."""
    return x.float() if x.dtype in {torch.float16, torch.bfloat16} else x


def identity_grid(height: int, width: int, like: torch.Tensor) -> torch.Tensor:
    """Coordinates x, y of every pixel, (1, 2, height, width), -1 and 1 at the centres of the outer pixels."""
    y = torch.linspace(-1, 1, height, dtype=like.dtype, device=like.device)
    x = torch.linspace(-1, 1, width, dtype=like.dtype, device=like.device)
    rows, columns = torch.meshgrid(y, x, indexing="ij")
    return torch.stack([columns, rows])[None]


def warp(image: torch.Tensor, flow_px: torch.Tensor) -> torch.Tensor:
    """The image as the flow moves it, float32 or float64 (as the flow).

    Args:
        image: (1 or N, C, H, W).
        flow_px: (N, 2, h, w), for each pixel of a grid of h x w where in that grid it is taken from: x, y offsets.

    """
    height, width = flow_px.shape[-2:]
    flow_px = widened(flow_px)
    steps = flow_px.new_tensor([2 / (width - 1), 2 / (height - 1)]).reshape(1, 2, 1, 1)
    grid = identity_grid(height, width, flow_px) + flow_px * steps
    if grid.shape[-2:] != image.shape[-2:]:
        grid = F.interpolate(grid, size=image.shape[-2:], mode="bilinear", align_corners=False)
    source = image.to(grid.dtype).expand(len(grid), -1, -1, -1)
    return F.grid_sample(source, grid.permute(0, 2, 3, 1), align_corners=False)
