"""The renderer without weights: the source image, warped by the vertices that coefficients describe."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from chdtf.morphable.coefficients import Coefficients, landmarks_of
from chdtf.morphable.fitting import fit_image
from chdtf.morphable.model import DEFAULT_MODEL, FaceModel, load_model
from chdtf.schema import NUM_VERTICES, SMOOTH
from chdtf.warp import FaceWarp, Motion
from chdtf.warp.person import person_mask
from disenttalk_ref.render.ahead import ahead
from disenttalk_ref.render.limits import within_reach
from disenttalk_ref.render.source_face import find_face

_CHUNK_FRAMES = 64  # whose vertices are computed at once


@dataclass(frozen=True, eq=False)
class WarpedPortrait:
    """One source face, by `MeshWarpRenderer.prepare`."""

    source: Coefficients  # T = 1
    model: FaceModel
    warp: FaceWarp
    landmarks: np.ndarray  # (468, 3) float32 px, where they were found in the source
    threads: int = 2

    def frames(self, driving: Coefficients) -> Iterator[np.ndarray]:
        """The source's identity with the expression and pose of `driving`: T frames, uint8 (256, 256, 3) RGB.

        Frames of `driving` that are not valid show the valid one before them (the source when there is none). Motion
        that would tear the picture is held back, `disenttalk_ref.render.limits`.
        """
        return ahead(lambda target: self.warp.render(*target), self._targets(driving), self.threads)

    def _targets(self, driving: Coefficients) -> Iterator[tuple[np.ndarray, Motion]]:
        """Vertices (468, 3) px and the head's motion, frame by frame."""
        shown = next(self._placed(self.source))
        for first in range(0, driving.num_frames, _CHUNK_FRAMES):
            part = slice(first, first + _CHUNK_FRAMES)
            chunk = driving.replace(**{name: getattr(driving, name)[part] for name in (*SMOOTH, "valid")})
            chunk = within_reach(self.source, chunk, self.model)
            for target, valid in zip(self._placed(chunk), chunk.valid, strict=True):
                shown = target if valid else shown
                yield shown

    def _placed(self, driving: Coefficients) -> Iterator[tuple[np.ndarray, Motion]]:
        """As `_targets`, for few frames, NaN where they are not valid.

        What the model does not say of the source (vertices that it lacks, and its fitting error) moves with the head.
        """
        base = landmarks_of(self.source, self.model)[0].astype(np.float64)
        missed = np.nan_to_num(self.landmarks - base)
        unknown = np.isnan(base[:, 0])
        posed = landmarks_of(driving.replace(identity=self.source.identity), self.model).astype(np.float64)
        for k, motion in enumerate(_head_motions(self.source, driving)):
            target = posed[k] + missed @ motion.linear.T
            target[unknown] = motion(self.landmarks[unknown].astype(np.float64))
            yield target, motion


def _head_motions(source: Coefficients, driving: Coefficients) -> Iterator[Motion]:
    """What takes points of the source's head to where each pose puts them, in px."""
    base = Rotation.from_rotvec(source.rotation[0].astype(np.float64))
    turns = (Rotation.from_rotvec(driving.rotation.astype(np.float64)) * base.inv()).as_matrix()
    ratios = driving.scale.astype(np.float64) / float(source.scale[0])
    for turn, ratio, offset in zip(turns, ratios, driving.translation.astype(np.float64), strict=True):
        linear = ratio * turn
        yield Motion(linear, offset - linear @ source.translation[0].astype(np.float64))


@dataclass(frozen=True)
class MeshWarpRenderer:
    """A `chdtf.warp.FaceWarp` of the source, driven by coefficients of a bundled face model."""

    face_model: str = DEFAULT_MODEL
    threads: int = 2  # that draw frames; 1 draws them when they are asked for. Frames are the same with any number

    def prepare(self, image: np.ndarray) -> WarpedPortrait:
        """Find and fit the face of a source image, uint8 (H, W, 3) RGB, scaled to 256x256.

        Raises `UserError` when MediaPipe finds no face in it.
        """
        image, landmarks = find_face(image)
        model = load_model(self.face_model)
        warp = FaceWarp(image, landmarks, person_mask(image))
        return WarpedPortrait(fit_image(landmarks, model), model, warp, landmarks[:NUM_VERTICES], self.threads)


RENDERER = MeshWarpRenderer
