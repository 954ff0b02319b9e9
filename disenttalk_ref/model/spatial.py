"""Hierarchical region-aware spatial attention, Eq. 4."""

import torch
from torch import nn

from disenttalk_ref.model.attention import Attention
from disenttalk_ref.model.config import ModelConfig


class RegionAttention(nn.Module):
    """Hierarchical region-aware attention, Eq. 4: F_spatial = W_f [Attention(E_r)], r in {eye, lip, global}.

    Without `hierarchical` or `disentangle` there is one attention over all channels.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.widths = list(config.attended)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for width in self.widths)
        self.attentions = nn.ModuleList(Attention(width, config.heads, 0.5) for width in self.widths)
        self.fuse = nn.Linear(config.width, config.width)  # W_f

    def regions(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Attention(E_r) of each region, before fusion: (B, T, D) -> (B, T, D_r) each."""
        normed = [norm(part) for norm, part in zip(self.norms, x.split(self.widths, -1), strict=True)]
        return [attention(part) for attention, part in zip(self.attentions, normed, strict=True)]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, T, D) -> (B, T, D)."""
        return torch.as_tensor(self.fuse(torch.cat(self.regions(x), -1)))
