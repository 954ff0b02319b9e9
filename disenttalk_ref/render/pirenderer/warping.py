"""The warping network g_w (Ren et al. 2021, Section 3.2): source image and z -> flow -> the warped source."""

import torch
from torch import nn

from disenttalk_ref.render.pirenderer.blocks import SLOPE, AdaIN, LayerNorm, convolution, rectify
from disenttalk_ref.render.pirenderer.config import NetworkConfig
from disenttalk_ref.render.pirenderer.flow import warp, widened

IMAGE_CHANNELS = 3


class DownBlock(nn.Module):
    """AdaIN, rectifier and convolution, twice; the first convolution halves height and width."""

    def __init__(self, inputs: int, outputs: int, config: NetworkConfig) -> None:
        super().__init__()
        self.conv_0 = nn.Conv2d(inputs, outputs, kernel_size=4, stride=2, padding=1)
        self.conv_1 = convolution(outputs, outputs)
        self.norm_0 = AdaIN(inputs, config.descriptor, config.adain)
        self.norm_1 = AdaIN(outputs, config.descriptor, config.adain)

    def forward(self, x: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        """Images x (N or 1, inputs, H, W), z (N, D) -> (N, outputs, H / 2, W / 2)."""
        x = self.conv_0(rectify(self.norm_0(x, z)))
        made: torch.Tensor = self.conv_1(rectify(self.norm_1(x, z)))
        return made


class UpBlock(nn.Module):
    """Two convolutions beside a third, each after AdaIN and rectifier; transposed ones double height and width."""

    def __init__(self, inputs: int, outputs: int, config: NetworkConfig) -> None:
        super().__init__()
        self.conv_0 = convolution(inputs, outputs)
        self.conv_1 = nn.ConvTranspose2d(outputs, outputs, 3, stride=2, padding=1, output_padding=1)
        self.conv_s = nn.ConvTranspose2d(inputs, outputs, 3, stride=2, padding=1, output_padding=1)
        self.norm_0 = AdaIN(inputs, config.descriptor, config.adain)
        self.norm_1 = AdaIN(outputs, config.descriptor, config.adain)
        self.norm_s = AdaIN(inputs, config.descriptor, config.adain)

    def forward(self, x: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        """Images x (N, inputs, H, W), z (N, D) -> (N, outputs, 2 H, 2 W)."""
        beside = self.conv_s(rectify(self.norm_s(x, z)))
        x = self.conv_0(rectify(self.norm_0(x, z)))
        made: torch.Tensor = beside + self.conv_1(rectify(self.norm_1(x, z)))
        return made


class Encoder(nn.Module):
    """A first convolution and `warp_down` halvings."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.levels = config.warp_down
        self.input_layer = convolution(IMAGE_CHANNELS, config.warp_base, kernel=7)
        for level in range(self.levels):
            block = DownBlock(config.warp_channels(level), config.warp_channels(level + 1), config)
            self.add_module(f"encoder{level}", block)

    def forward(self, stem: torch.Tensor, z: torch.Tensor) -> list[torch.Tensor]:
        """Features by level, from those of the first convolution, `stem` (N or 1, C, H, W)."""
        features = [stem]
        for level in range(self.levels):
            features.append(self.get_submodule(f"encoder{level}")(features[-1], z))
        return features


class Decoder(nn.Module):
    """`warp_up` doublings, each joined with the encoder's features of the same size."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.levels = range(config.warp_down - config.warp_up, config.warp_down)[::-1]
        for level in self.levels:
            joined = 1 if level == config.warp_down - 1 else 2
            block = UpBlock(joined * config.warp_channels(level + 1), config.warp_channels(level), config)
            self.add_module(f"decoder{level}", block)

    def forward(self, features: list[torch.Tensor], z: torch.Tensor) -> torch.Tensor:
        """Features by level -> (N, 2 C, H / 2^k, W / 2^k), k = down - up."""
        x = features[-1]
        for level in self.levels:
            x = torch.cat([self.get_submodule(f"decoder{level}")(x, z), features[level]], dim=1)
        return x


class Hourglass(nn.Module):
    """Encoder and decoder with skip connections."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.encoder, self.decoder = Encoder(config), Decoder(config)


class WarpingNetwork(nn.Module):
    """The hourglass, and a last convolution that makes a flow of its features."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.hourglass = Hourglass(config)
        joined = 2 * config.warp_channels(config.warp_down - config.warp_up)
        self.flow_out = nn.Sequential(LayerNorm(joined), nn.LeakyReLU(SLOPE), convolution(joined, 2, kernel=7))

    def stem(self, image: torch.Tensor) -> torch.Tensor:
        """What depends on the source alone: (N or 1, 3, H, W) in [-1, 1] -> (N or 1, C, H, W)."""
        made: torch.Tensor = self.hourglass.encoder.input_layer(image)
        return made

    def forward(self, image: torch.Tensor, stem: torch.Tensor, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The warped source, float32 (N, 3, H, W), and the flow, float32 (N, 2, h, w), px of its grid.

        The flow is made in float32 also under autocast: steps of 1/32 px, as in bfloat16, would show as trembling.
        """
        features = self.hourglass.decoder(self.hourglass.encoder(stem, z), z)
        with torch.autocast(features.device.type, enabled=False):
            flow_px = self.flow_out(widened(features))
            return warp(image, flow_px), flow_px
