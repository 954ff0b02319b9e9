"""Landmarks of clips to coefficients: which fitter, and its results as `Coefficients`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial.transform import Rotation

from chdtf.morphable.coefficients import Coefficients
from chdtf.morphable.fitting.frames import Frames, check_clip, frames_of
from chdtf.morphable.fitting.image import split_image
from chdtf.morphable.fitting.settings import FitSettings
from chdtf.morphable.model import FaceModel
from chdtf.schema import NUM_VERTICES

if TYPE_CHECKING:
    from chdtf.morphable.fitting.alignment import Pose


_BY_FRAME = ("expression", "rotation", "translation", "scale")


def fitter_of(model: FaceModel) -> str:
    """Name of what fits this model: `closed_form` or `gauss_newton`."""
    return "closed_form" if model.free_identity else "gauss_newton"


def fit_clip(landmarks: np.ndarray, model: FaceModel, settings: FitSettings | None = None) -> Coefficients:
    """`fit_clips` for one clip, (T, 478, 3)."""
    (found,) = fit_clips([landmarks], model, settings)
    return found


def fit_clips(
    landmarks: Sequence[np.ndarray], model: FaceModel, settings: FitSettings | None = None, device: str = "cpu"
) -> list[Coefficients]:
    """Fit tracked clips: one identity for each clip, expression and pose for each of its frames.

    Models with a free identity (mp468) are fitted in closed form: see `fitting.closed_form`. The others (ict, bfm) by
    Gauss-Newton with Gaussian priors: see `fitting.gauss_newton`. A clip of which a single frame can be fitted is split
    into identity and expression as `fit_image` does.

    Args:
        landmarks: C clips, (T, L, 3) px each with L >= 468; NaN in frames without a face.
        model: the face model.
        settings: how; None for the defaults.
        device: where PyTorch computes. On the CPU a clip's result does not depend on the other clips, to the bit; on a
            GPU to about 1e-6.

    Returns:
        Coefficients of each clip. Frames with a value that is not finite, or with all points at one spot, are not
        valid; their values are 0.

    Raises:
        ValueError: if a shape is wrong, a clip has no frame that can be fitted, or the equations have no solution.

    """
    settings = settings or FitSettings()
    frames = frames_of(landmarks, model, device, settings.chunk_frames)
    if not landmarks:
        return []
    identity, expression, pose = _run(frames, model, settings)
    found = [_assemble(frames, clip, identity, expression, pose) for clip in range(frames.num_clips)]
    if model.free_identity:
        for clip in np.flatnonzero(frames.counts == 1):
            found[clip] = _split(frames, int(clip), model)
    return found


def fit_image(landmarks: np.ndarray, model: FaceModel) -> Coefficients:
    """Fit a single image: identity and expression are separated by the model's Gaussian priors (MAP).

    Args:
        landmarks: (L, 3) px with L >= 468, without NaN.
        model: the face model. With a free identity the landmarks are reproduced exactly: see `fitting.image`.

    Returns:
        Coefficients with T = 1.

    Raises:
        ValueError: if the shape is wrong, a landmark is missing or all are at one spot.

    """
    if landmarks.ndim != 2:
        raise ValueError(f"landmarks of one image are (478, 3), not {landmarks.shape}")
    if not model.free_identity:
        return fit_clip(landmarks[None], model)
    check_clip(landmarks[None])
    return split_image(landmarks[:NUM_VERTICES], model)  # without PyTorch


def _split(frames: Frames, clip: int, model: FaceModel) -> Coefficients:
    """A clip of which a single frame can be fitted."""
    (frame,) = frames.chosen[clip]
    image = split_image(frames.landmarks[clip][frame, :NUM_VERTICES], model)
    valid = frames.valid[clip]
    arrays = {name: np.zeros((len(valid), *getattr(image, name).shape[1:])) for name in _BY_FRAME}
    for name, values in arrays.items():
        values[frame] = getattr(image, name)[0]
    return Coefficients(identity=image.identity, valid=valid, **arrays)


def _run(frames: Frames, model: FaceModel, settings: FitSettings) -> tuple[np.ndarray, np.ndarray, "Pose"]:
    """Identities (C, ...), expressions (N, K), poses of N frames."""
    import torch

    from chdtf.morphable.fitting.closed_form import ClosedForm
    from chdtf.morphable.fitting.gauss_newton import GaussNewton

    fitter = ClosedForm if model.free_identity else GaussNewton
    try:
        with torch.inference_mode():
            identity, expression, pose = fitter(frames, model, settings).run()
    except torch.linalg.LinAlgError as error:
        raise ValueError(f"the landmarks are not those of a face: {error}") from error
    return identity.cpu().numpy(), expression.cpu().numpy(), pose


def _assemble(frames: Frames, clip: int, identity: np.ndarray, expression: np.ndarray, pose: "Pose") -> Coefficients:
    """Coefficients of one clip's frames, from those that were fitted."""
    rows, chosen, valid = frames.rows_of(clip), frames.chosen[clip], frames.valid[clip]

    def spread(values: np.ndarray) -> np.ndarray:
        full = np.zeros((len(valid), *values.shape[1:]), np.float32)
        full[chosen] = values
        return full

    return Coefficients(
        identity=identity[clip].astype(np.float32),
        expression=spread(expression[rows]),
        rotation=spread(Rotation.from_matrix(pose.rotation[rows].cpu().numpy()).as_rotvec()),
        translation=spread(pose.translation[rows].cpu().numpy()),
        scale=spread(pose.scale[rows].cpu().numpy()),
        valid=valid,
    )
