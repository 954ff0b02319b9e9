"""Multi-scale temporal convolution, Eq. 5."""

from typing import cast

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

NUM_SCALES = 3
REACH = 2 ** (NUM_SCALES - 1)  # frames that the widest convolution sees to either side


class TemporalConvolution(nn.Module):
    """Multi-scale temporal convolution, Eq. 5: F_temp = F_pw(Concat{F_dw^i(F_spatial)}), dilation 2^i, i = 0..2."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.depthwise = nn.ModuleList(
            nn.Conv1d(width, width, 3, padding=2**i, dilation=2**i, groups=width) for i in range(NUM_SCALES)
        )
        self.pointwise = nn.Linear(NUM_SCALES * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, T, D) -> (B, T, D)."""
        return torch.as_tensor(self.pointwise(F.gelu(self.scales(self.norm(x)))))

    def scales(self, x: torch.Tensor) -> torch.Tensor:
        """F_dw^i of every scale, side by side: (B, T, D) -> (B, T, 3 D).

        The modules themselves would give the same. On a CPU sums of shifted copies have gradients twice as fast, and
        convolutions are faster on a picture of one row whose channels lie together.
        """
        layers = [cast(nn.Conv1d, layer) for layer in self.depthwise]
        if torch.is_grad_enabled() and x.device.type == "cpu":
            padded = F.pad(x, (0, 0, REACH, REACH))
            return torch.cat([_shifted(padded, layer, 2**i) for i, layer in enumerate(layers)], -1)
        row = x.transpose(1, 2)[:, :, None]
        made = [
            F.conv2d(row, layer.weight[:, :, None], layer.bias, 1, (0, 2**i), (1, 2**i), x.shape[-1])
            for i, layer in enumerate(layers)
        ]
        return torch.cat(made, 1)[:, :, 0].transpose(1, 2)


def _shifted(padded: torch.Tensor, layer: nn.Conv1d, dilation: int) -> torch.Tensor:
    """A depth-wise convolution of three taps: (B, T + 2 REACH, D) -> (B, T, D)."""
    length = padded.shape[1] - 2 * REACH
    taps = (padded[:, REACH + step : REACH + step + length] for step in (-dilation, 0, dilation))
    total = torch.as_tensor(layer.bias)
    for tap, weight in zip(taps, layer.weight[:, 0].T, strict=True):
        total = torch.addcmul(total, tap, weight)
    return total
