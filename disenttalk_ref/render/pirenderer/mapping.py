"""The mapping network f_m (Ren et al. 2021, Section 3.1): a window of coefficients -> the latent vector z."""

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from disenttalk_ref.render.pirenderer.blocks import SLOPE
from disenttalk_ref.render.pirenderer.config import NetworkConfig


class MappingNetwork(nn.Module):
    """1-D convolutions over time without padding, dilated ones beside their input, and the mean of what is left."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        width = config.descriptor
        self.first = nn.Sequential(nn.Conv1d(config.semantics, width, kernel_size=7))
        for number in range(config.mapping_layers):
            layer = nn.Sequential(nn.LeakyReLU(SLOPE), nn.Conv1d(width, width, kernel_size=3, dilation=3))
            self.add_module(f"encoder{number}", layer)

    def forward(self, semantics: torch.Tensor) -> torch.Tensor:
        """Descriptors of every window: (N, K, T + 2 radius) -> (N, D, T); windows are (N, K, 2 radius + 1), T = 1.

        Convolutions without padding give each window what it would get alone, so a whole clip costs no more than once.
        """
        x = self.first(semantics)
        for number in range(self.config.mapping_layers):
            x = self.get_submodule(f"encoder{number}")(x) + x[..., 3:-3]
        return F.avg_pool1d(x, self.config.descriptor_frames, stride=1)
