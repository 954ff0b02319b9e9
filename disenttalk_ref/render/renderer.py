"""What every renderer offers: a source image becomes a portrait, coefficients move it."""

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from chdtf.morphable.coefficients import Coefficients


class Portrait(Protocol):
    """A source face, ready to be driven."""

    @property
    def source(self) -> Coefficients:
        """The source face itself, T = 1: its identity, expression and pose in the 256 px frame."""

    def frames(self, driving: Coefficients) -> Iterator[np.ndarray]:
        """The source's identity with the expression and pose of `driving`: T frames, uint8 (256, 256, 3) RGB."""


class Renderer(Protocol):
    """Coefficients + source -> frames."""

    def prepare(self, image: np.ndarray) -> Portrait:
        """All work that frames share, for one source: uint8 (H, W, 3) RGB.

        Raises `chdtf.errors.UserError` when the image shows no face.
        """
