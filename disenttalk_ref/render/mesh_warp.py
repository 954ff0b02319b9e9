"""The renderer without weights: the source image, warped by the vertices that coefficients describe."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from chdtf.errors import UserError
from chdtf.faces import detect_landmarks
from chdtf.media import resize
from chdtf.morphable.coefficients import Coefficients, landmarks_of
from chdtf.morphable.fitting import fit_image
from chdtf.morphable.model import DEFAULT_MODEL, FaceModel, load_model
from chdtf.schema import FRAME_SIZE_PX
from chdtf.warp import FaceWarp


@dataclass(frozen=True, eq=False)
class WarpedPortrait:
    """One source face, by `MeshWarpRenderer.prepare`."""

    source: Coefficients  # T = 1
    model: FaceModel
    warp: FaceWarp

    def frames(self, driving: Coefficients) -> Iterator[np.ndarray]:
        """The source's identity with the expression and pose of `driving`: T frames, uint8 (256, 256, 3) RGB.

        Frames of `driving` that are not valid show the valid one before them (the source when there is none).
        """
        at_rest = landmarks_of(self.source, self.model)[0]
        vertices = landmarks_of(driving.replace(identity=self.source.identity), self.model)  # (T, 468, 3)
        for target, valid in zip(vertices, driving.valid, strict=True):
            at_rest = target if valid else at_rest
            yield self.warp.render(at_rest)


@dataclass(frozen=True)
class MeshWarpRenderer:
    """A `chdtf.warp.FaceWarp` of the source, driven by coefficients of a bundled face model."""

    face_model: str = DEFAULT_MODEL

    def prepare(self, image: np.ndarray) -> WarpedPortrait:
        """Find and fit the face of a source image, uint8 (H, W, 3) RGB, scaled to 256x256.

        Raises `UserError` when MediaPipe finds no face in it.
        """
        height, width = image.shape[:2]
        if (height, width) != (FRAME_SIZE_PX, FRAME_SIZE_PX):
            image = resize(image, FRAME_SIZE_PX)
        landmarks = detect_landmarks(image)
        if landmarks is None:
            raise UserError(
                f"no face found in the source image ({width}x{height} px); "
                "give a square crop in which one face, seen from the front, fills a third or more of the height"
            )
        model = load_model(self.face_model)
        return WarpedPortrait(fit_image(landmarks, model), model, FaceWarp(image, landmarks))


RENDERER = MeshWarpRenderer
