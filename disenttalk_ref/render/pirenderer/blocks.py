"""Building blocks; parameter names are those of the published checkpoints (RenYurui/PIRender).

No weight is under spectral normalisation: the published configuration has it switched off.
"""

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from disenttalk_ref.render.pirenderer.flow import widened

SLOPE = 0.1  # of the leaky rectifier
EPSILON = 1e-5


def rectify(x: torch.Tensor) -> torch.Tensor:
    """The leaky rectifier of all three networks."""
    return F.leaky_relu(x, SLOPE)


def standardise(x: torch.Tensor) -> torch.Tensor:
    """(N, C, H, W) with mean 0 and variance 1 in every channel of every image; at least float32.

    Instance normalisation in two passes of sums, which keeps the memory format and is twice as fast on one core.
    """
    centred = widened(x)
    centred = centred - centred.mean(dim=(2, 3), keepdim=True)
    return centred * torch.rsqrt(centred.square().mean(dim=(2, 3), keepdim=True) + EPSILON)


class LayerNorm(nn.Module):
    """Layer normalisation over channels and pixels, with a weight and a bias a channel, (C, 1, 1)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) -> the same shape."""
        return F.group_norm(x, 1, self.weight.flatten(), self.bias.flatten(), EPSILON)


class AdaIN(nn.Module):
    """Adaptive instance normalisation (Huang and Belongie 2017): scale 1 + gamma(z) and shift beta(z) a channel."""

    def __init__(self, channels: int, descriptor: int, hidden: int) -> None:
        super().__init__()
        self.mlp_shared = nn.Sequential(nn.Linear(descriptor, hidden), nn.ReLU())
        self.mlp_gamma = nn.Linear(hidden, channels)
        self.mlp_beta = nn.Linear(hidden, channels)

    def forward(self, x: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        """Images x (N or 1, C, H, W), z (N, D) -> (N, C, H, W), of the dtype of x. One image serves all z."""
        hidden = self.mlp_shared(z)
        gamma, beta = self.mlp_gamma(hidden)[..., None, None], self.mlp_beta(hidden)[..., None, None]
        return torch.addcmul(beta, standardise(x), 1 + gamma).to(x.dtype)


def convolution(inputs: int, outputs: int, kernel: int = 3) -> nn.Conv2d:
    """A convolution that keeps height and width."""
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)


class NormedConvolution(nn.Module):
    """Convolution, layer normalisation, rectifier."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3) -> None:
        super().__init__()
        self.model = nn.Sequential(convolution(inputs, outputs, kernel), LayerNorm(outputs), nn.LeakyReLU(SLOPE))

    @property
    def convolution(self) -> nn.Conv2d:
        """The convolution itself."""
        found = self.model[0]
        assert isinstance(found, nn.Conv2d)
        return found

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, inputs, H, W) -> (N, outputs, H, W)."""
        made: torch.Tensor = self.model(x)
        return made


class ResidualAdaIN(nn.Module):
    """Convolutions beside the input, each followed by AdaIN: two in a row, or the second alone.

    The published code computes conv2 of the block's input, so conv1 and norm1 of its checkpoints have no effect;
    weights trained with it need the same, `depth` 1.
    """

    def __init__(self, channels: int, descriptor: int, hidden: int, depth: int) -> None:
        super().__init__()
        self.depth = depth
        self.conv1, self.conv2 = convolution(channels, channels), convolution(channels, channels)
        self.norm1, self.norm2 = AdaIN(channels, descriptor, hidden), AdaIN(channels, descriptor, hidden)

    def forward(self, x: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        """Images x (N, C, H, W), z (N, D) -> (N, C, H, W)."""
        moved = x if self.depth == 1 else rectify(self.norm1(self.conv1(x), z))
        made: torch.Tensor = self.norm2(self.conv2(moved), z) + x
        return made
