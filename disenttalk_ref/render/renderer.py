"""What every renderer offers: a source image becomes a portrait, coefficients move it."""

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from chdtf.morphable.coefficients import Coefficients
from chdtf.morphable.model import FaceModel


class Portrait(Protocol):
    """A source face, ready to be driven. Nothing in it changes by being driven: it can be driven again and again."""

    @property
    def model(self) -> FaceModel:
        """The face model of `source`, and of the coefficients that drive it."""

    @property
    def source(self) -> Coefficients:
        """The source face itself, T = 1: its identity, expression and pose in the 256 px frame."""

    def frames(self, driving: Coefficients) -> Iterator[np.ndarray]:
        """The source's identity with the expression and pose of `driving`: T frames, uint8 (256, 256, 3) RGB.

        The identity in `driving` is not used, and its expression is of the face model `model`. Frame k depends on
        the source and on frames of `driving` near k only, so that pieces of a motion can be drawn one after another.
        Frames that are not valid show the valid one before them (the source when there is none). Frames come in order
        and may be drawn ahead in threads; what they show does not depend on how many. Closing the iterator early ends
        the threads.
        """


class Renderer(Protocol):
    """Coefficients + source -> frames. Implementations are frozen dataclasses: their fields are their options."""

    def prepare(self, image: np.ndarray) -> Portrait:
        """All work that frames share, for one source: uint8 (H, W, 3) RGB, one face, any size.

        Raises `chdtf.errors.UserError` when the image shows no face, or the renderer lacks a file.
        """
