"""The editing network g_e (Ren et al. 2021, Section 3.3): source, warped source and z -> the finished image."""

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from disenttalk_ref.render.pirenderer.blocks import NormedConvolution, ResidualAdaIN, convolution
from disenttalk_ref.render.pirenderer.config import NetworkConfig
from disenttalk_ref.render.pirenderer.warping import IMAGE_CHANNELS


class DownBlock(nn.Module):
    """Convolution, layer normalisation, rectifier; then the mean of 2 x 2 pixels."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.model = nn.Sequential(*NormedConvolution(inputs, outputs).model, nn.AvgPool2d(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, inputs, H, W) -> (N, outputs, H / 2, W / 2)."""
        made: torch.Tensor = self.model(x)
        return made


class UpBlock(NormedConvolution):
    """Every pixel four times; then convolution, layer normalisation, rectifier."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, inputs, H, W) -> (N, outputs, 2 H, 2 W)."""
        return super().forward(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class Encoder(nn.Module):
    """A first convolution of both images side by side and `edit_down` halvings."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.levels = config.edit_down
        self.first = NormedConvolution(2 * IMAGE_CHANNELS, config.edit_base, kernel=7)
        for level in range(self.levels):
            self.add_module(f"down{level}", DownBlock(config.edit_channels(level), config.edit_channels(level + 1)))

    def stem(self, image: torch.Tensor) -> torch.Tensor:
        """The source's share in the first convolution: (N or 1, 3, H, W) -> (N or 1, C, H, W)."""
        kernel = self.first.convolution
        return F.conv2d(image, kernel.weight[:, :IMAGE_CHANNELS], kernel.bias, padding=kernel.padding)

    def forward(self, stem: torch.Tensor, warped: torch.Tensor) -> list[torch.Tensor]:
        """Features by level."""
        kernel = self.first.convolution
        x = stem + F.conv2d(warped, kernel.weight[:, IMAGE_CHANNELS:], padding=kernel.padding)
        features: list[torch.Tensor] = [self.first.model[1:](x)]
        for level in range(self.levels):
            features.append(self.get_submodule(f"down{level}")(features[-1]))
        return features


class Residuals(nn.Module):
    """Residual blocks of one level."""

    def __init__(self, channels: int, config: NetworkConfig) -> None:
        super().__init__()
        self.count = config.edit_residuals
        for number in range(self.count):
            block = ResidualAdaIN(channels, config.descriptor, config.adain, config.residual_depth)
            self.add_module(f"res{number}", block)

    def forward(self, x: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        """Images x (N, C, H, W), z (N, D) -> (N, C, H, W)."""
        for number in range(self.count):
            x = self.get_submodule(f"res{number}")(x, z)
        return x


class FinalBlock(nn.Module):
    """A convolution to the image, and tanh."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.model = nn.Sequential(convolution(inputs, IMAGE_CHANNELS, kernel=7), nn.Tanh())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, inputs, H, W) -> (N, 3, H, W) in [-1, 1]."""
        made: torch.Tensor = self.model(x)
        return made


class Decoder(nn.Module):
    """Residual blocks, a doubling, and the encoder's features of that size added, a level; then the image."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.levels = range(config.edit_down)[::-1]
        for level in self.levels:
            inputs, outputs = config.edit_channels(level + 1), config.edit_channels(level)
            self.add_module(f"up{level}", UpBlock(inputs, outputs))
            self.add_module(f"res{level}", Residuals(inputs, config))
            self.add_module(f"jump{level}", NormedConvolution(outputs, outputs))
        self.final = FinalBlock(config.edit_base)

    def forward(self, features: list[torch.Tensor], z: torch.Tensor) -> torch.Tensor:
        """Features by level -> (N, 3, H, W) in [-1, 1]."""
        x = features[-1]
        for level in self.levels:
            x = self.get_submodule(f"up{level}")(self.get_submodule(f"res{level}")(x, z))
            x = self.get_submodule(f"jump{level}")(features[level]) + x
        made: torch.Tensor = self.final(x)
        return made


class EditingNetwork(nn.Module):
    """Encoder and decoder; z acts in the decoder."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.encoder, self.decoder = Encoder(config), Decoder(config)

    def forward(self, stem: torch.Tensor, warped: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        """The finished image (N, 3, H, W) in [-1, 1]; `stem` is of `encoder.stem`."""
        made: torch.Tensor = self.decoder(self.encoder(stem, warped), z)
        return made
