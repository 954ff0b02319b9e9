"""Multi-scale temporal convolution, Eq. 5."""

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812


class TemporalConvolution(nn.Module):
    """Multi-scale temporal convolution, Eq. 5: F_temp = F_pw(Concat{F_dw^i(F_spatial)}), dilation 2^i, i = 0..2."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.depthwise = nn.ModuleList(
            nn.Conv1d(width, width, 3, padding=2**i, dilation=2**i, groups=width) for i in range(3)
        )
        self.pointwise = nn.Linear(3 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, T, D) -> (B, T, D)."""
        channels = self.norm(x).transpose(1, 2)
        scales = torch.cat([convolution(channels) for convolution in self.depthwise], 1)
        return torch.as_tensor(self.pointwise(F.gelu(scales).transpose(1, 2)))
