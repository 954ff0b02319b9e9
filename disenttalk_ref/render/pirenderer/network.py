"""PIRenderer's three networks as one: Ren et al., "PIRenderer: Controllable Portrait Image Generation via Semantic
Neural Rendering", ICCV 2021. Names of parameters as in RenYurui/PIRender, so that its weights load; code our own.
"""

import dataclasses
import hashlib

import torch
from torch import nn

from disenttalk_ref.render.pirenderer.config import NetworkConfig
from disenttalk_ref.render.pirenderer.editing import EditingNetwork
from disenttalk_ref.render.pirenderer.mapping import MappingNetwork
from disenttalk_ref.render.pirenderer.warping import WarpingNetwork


@dataclasses.dataclass(frozen=True, eq=False)
class PreparedSource:
    """What frames of one source share: the image (N or 1, 3, H, W) in [-1, 1] and both networks' first features."""

    image: torch.Tensor
    warp_stem: torch.Tensor
    edit_stem: torch.Tensor


@dataclasses.dataclass(frozen=True, eq=False)
class Rendered:
    """Images (N, 3, H, W) in [-1, 1] and the flow (N, 2, h, w) in px of its grid; `image` is None in stage warp."""

    warped: torch.Tensor
    flow_px: torch.Tensor
    image: torch.Tensor | None


class PIRendererNetwork(nn.Module):
    """Source image and a window of coefficients -> the source with that expression and pose."""

    def __init__(self, config: NetworkConfig | None = None) -> None:
        super().__init__()
        self.config = config or NetworkConfig()
        self.mapping_net = MappingNetwork(self.config)
        self.warpping_net = WarpingNetwork(self.config)  # so spelled in the published checkpoints
        self.editing_net = EditingNetwork(self.config)

    def prepare(self, image: torch.Tensor) -> PreparedSource:
        """The work that does not depend on what drives: image (N or 1, 3, H, W) in [-1, 1].

        Raises `ValueError` when height or width is not a multiple of `config.multiple_px`.
        """
        multiple = self.config.multiple_px
        if image.shape[-1] % multiple or image.shape[-2] % multiple:
            raise ValueError(f"image of {image.shape[-1]}x{image.shape[-2]} px, not a multiple of {multiple}")
        return PreparedSource(image, self.warpping_net.stem(image), self.editing_net.encoder.stem(image))

    def render(self, source: PreparedSource, z: torch.Tensor, edit: bool = True) -> Rendered:
        """N images of one source, or of N; z (N, D)."""
        warped, flow_px = self.warpping_net(source.image, source.warp_stem, z)
        return Rendered(warped, flow_px, self.editing_net(source.edit_stem, warped, z) if edit else None)

    def forward(
        self, image: torch.Tensor, windows: torch.Tensor, edit: bool = True
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Warped and finished images (N, 3, H, W) of images (N, 3, H, W) and windows (N, K, 2 radius + 1)."""
        made = self.render(self.prepare(image), self.mapping_net(windows)[..., 0], edit)
        return made.warped, made.image


def key_listing(network: nn.Module) -> str:
    """One line a tensor, `name 64x3x7x7`, sorted: what a checkpoint must hold."""
    return "\n".join(
        f"{name} {'x'.join(map(str, tensor.shape))}" for name, tensor in sorted(network.state_dict().items())
    )


def listing_sha256(network: nn.Module) -> str:
    """Hex SHA-256 of `key_listing`."""
    return hashlib.sha256(key_listing(network).encode()).hexdigest()
