"""Attention over time, the common part of Eq. 4 and Eq. 6."""

import math

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

FAR = 64  # offsets beyond this many frames share one bias


class Attention(nn.Module):
    """Multi-head attention over time with a learned bias for each offset between key and query.

    Frames see keys from `back` frames before them to `ahead` frames after them; None: no limit.
    """

    def __init__(
        self, width: int, heads: int, spread: float, back: int | None = None, ahead: int | None = None
    ) -> None:
        super().__init__()
        self.heads, self.back, self.ahead = heads, back, ahead
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)
        slopes = spread * 2.0 ** -torch.arange(heads)
        self.bias = nn.Parameter(-slopes[:, None] * torch.arange(-FAR, FAR + 1).abs())

    def forward(self, x: torch.Tensor, key_value: torch.Tensor | None = None) -> torch.Tensor:
        """Queries from x (B, T, D), keys and values from `self.key_value` (B, T, 2 D), None: of x -> (B, T, D).

        A single row of keys and values stands for the same row in every frame.
        """
        batch, length, width = x.shape
        key_value = self.key_value(x) if key_value is None else key_value
        if key_value.shape[1] == 1:  # whatever the weights, the mean of equal values is that value
            return torch.as_tensor(self.out(key_value.chunk(2, -1)[1])).expand(batch, length, width)
        shape = (batch, length, self.heads, width // self.heads)
        key, value = (part.reshape(shape).transpose(1, 2) for part in key_value.chunk(2, -1))
        query = self.query(x).reshape(shape).transpose(1, 2) / math.sqrt(width // self.heads)
        mixed = (query @ key.transpose(2, 3) + self.offset_bias(length)).softmax(-1) @ value
        return torch.as_tensor(self.out(mixed.transpose(1, 2).reshape(batch, length, width)))

    def offset_bias(self, length: int) -> torch.Tensor:
        """Bias of every query (rows) for every key (columns), minus infinity where it must not look: (heads, T, T)."""
        edge = max(0, length - 1 - FAR)
        line = self.bias[:, FAR - (length - 1 - edge) : FAR + length - edge]  # offsets 1 - T .. T - 1
        if edge:
            line = F.pad(line[None], (edge, edge), mode="replicate")[0]
        offset = torch.arange(1 - length, length, device=line.device)
        if self.back is not None:
            line = line.masked_fill(offset < -self.back, -torch.inf)
        if self.ahead is not None:
            line = line.masked_fill(offset > self.ahead, -torch.inf)
        return line.unfold(1, length, 1).flip(1)  # query i sees the line from its place T - 1 - i on
