"""Sizes of the network, as fields: the published ones by default, smaller ones for tests and CPUs."""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType

_KERNEL_FRAMES, _DILATION, _REACH_FRAMES = 7, 3, 6  # of the mapping network; a dilated layer takes 6 frames away


@dataclasses.dataclass(frozen=True)
class NetworkConfig:
    """PIRenderer's sizes (Ren et al. 2021, Section 3; numbers as in RenYurui/PIRender config/face.yaml).

    Raises `ValueError` when the window is shorter than what the mapping network looks at.
    """

    semantics: int = 73  # numbers a frame that drive it
    radius_frames: int = 13  # frames to either side in the window
    descriptor: int = 256  # width of the latent vector z
    adain: int = 128  # hidden width of the layers that make scales and shifts from z
    mapping_layers: int = 3
    warp_base: int = 32  # channels of the first layer of the warping network
    warp_down: int = 5  # halvings of its encoder
    warp_up: int = 3  # doublings of its decoder: the flow has 2 ** (down - up) times fewer pixels a side
    edit_base: int = 64
    edit_down: int = 3
    edit_residuals: int = 2  # residual blocks a level of the editing decoder
    residual_depth: int = 1  # convolutions of such a block that count: 1 as in the published code, 2 as in the paper
    max_channels: int = 256

    def __post_init__(self) -> None:
        if self.descriptor_frames < 1:
            raise ValueError(f"{self.mapping_layers} mapping layers need a radius above {self.radius_frames} frames")
        if not 0 < self.warp_up < self.warp_down:
            raise ValueError(f"warp_up {self.warp_up} is not between 0 and warp_down {self.warp_down}")
        if self.residual_depth not in {1, 2}:
            raise ValueError(f"residual_depth {self.residual_depth} is neither 1 nor 2")

    @property
    def window_frames(self) -> int:
        """Frames that one descriptor is made of."""
        return 2 * self.radius_frames + 1

    @property
    def descriptor_frames(self) -> int:
        """Frames that are left of a window after the convolutions, and averaged."""
        return self.window_frames - (_KERNEL_FRAMES - 1) - _REACH_FRAMES * self.mapping_layers

    @property
    def multiple_px(self) -> int:
        """Heights and widths of images are multiples of this."""
        return 1 << max(self.warp_down, self.edit_down)

    def warp_channels(self, level: int) -> int:
        """Channels of the warping network after `level` halvings."""
        return min(self.warp_base << level, self.max_channels)

    def edit_channels(self, level: int) -> int:
        """Channels of the editing network after `level` halvings."""
        return min(self.edit_base << level, self.max_channels)


_SMALLER = {"edit_residuals": 1, "residual_depth": 2}
PRESETS: Mapping[str, NetworkConfig] = MappingProxyType(
    {
        "paper": NetworkConfig(),
        "small": NetworkConfig(descriptor=128, adain=64, warp_base=16, edit_base=24, max_channels=96, **_SMALLER),
        "tiny": NetworkConfig(descriptor=64, adain=32, warp_base=8, edit_base=12, max_channels=48, **_SMALLER),
    }
)
