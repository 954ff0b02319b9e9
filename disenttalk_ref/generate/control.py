"""Motions of several sources become one: lips from speech, eyes of one video, head pose of another.

What the paper's project page shows as region control: the dimensions of a region (Eq. 1-2) are exchanged, all others
stay as they are to the bit. Everything here is a pure function of arrays; videos are read in `generate.source`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from chdtf.animate import open_mouth
from chdtf.errors import UserError
from chdtf.morphable.model import FaceModel
from chdtf.morphable.regions import region_weights
from chdtf.schema import NUM_VERTICES
from disenttalk_ref.motion import Motion

EASE_FRAMES = 12.0  # in which a head leaves its source's pose for that of its driver: 0.5 s
MAX_LIP_WEIGHT = 3.0


@dataclass(frozen=True, eq=False)
class Control:
    """What replaces parts of the motion that speech gave. The default replaces nothing."""

    lip_weight: float = 1.0  # factor of the lip dimensions about the closed mouth
    eyes: np.ndarray | None = None  # (T', N) float32 expression about the driver's neutral face: its eye dimensions
    pose: np.ndarray | None = None  # (T', 6) float32 head motion from the source's pose

    def __post_init__(self) -> None:
        if not 0 <= self.lip_weight <= MAX_LIP_WEIGHT:
            raise UserError(f"lip weight {self.lip_weight:g}: give a number from 0 (closed) to {MAX_LIP_WEIGHT:g}")


def combine(
    spoken: Motion, control: Control, regions: Sequence[Sequence[int]], closed: np.ndarray | None = None
) -> Motion:
    """The motion of speech with the regions that `control` brings.

    Args:
        spoken: T frames, from speech.
        control: what replaces parts of it; sequences of another length are brought to T by `to_length`.
        regions: expression dimensions of eye, lip and global, as in a checkpoint's header.
        closed: (N,) the expression of the closed mouth, `closed_mouth`; needed with a lip weight other than 1.

    Returns:
        T frames. Dimensions that `control` does not name are those of `spoken` to the bit.

    """
    eye, lip, _ = (list(region) for region in regions)
    expression = spoken.expression.copy()
    if control.lip_weight != 1:
        if closed is None:
            raise ValueError("a lip weight needs the expression of the closed mouth")
        expression[:, lip] = closed[lip] + control.lip_weight * (expression[:, lip] - closed[lip])
    if control.eyes is not None:
        expression[:, eye] = to_length(control.eyes, spoken.num_frames)[:, eye]
    pose = spoken.pose if control.pose is None else to_length(control.pose, spoken.num_frames)
    return Motion(expression, np.asarray(pose, np.float32).copy())


def forward_and_backward(length: int, num_frames: int) -> np.ndarray:
    """Frame numbers int64 (num_frames,) of a sequence played forward, backward, forward, ... so that nothing jumps.

    The frame where it turns is shown once.
    """
    if length < 1:
        raise ValueError(f"a sequence of {length} frames has none to show")
    period = max(2 * length - 2, 1)
    place = np.arange(num_frames) % period
    return np.minimum(place, period - place)


def to_length(values: np.ndarray, num_frames: int) -> np.ndarray:
    """A sequence (T', ...) cut to `num_frames`, or played forward and backward until it is as long."""
    stretched: np.ndarray = values[forward_and_backward(len(values), num_frames)]
    return stretched


def fill_gaps(values: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """A sequence (T, D) with frames that were not seen interpolated linearly, and held before and after: float32.

    Raises `ValueError` when no frame was seen.
    """
    known = np.flatnonzero(seen)
    if not len(known):
        raise ValueError("no frame was seen")
    frames = np.arange(len(values))
    columns = [np.interp(frames, known, column[known]) for column in values.T]
    return np.stack(columns, axis=1).astype(np.float32) if columns else values.astype(np.float32)


def about_neutral(expression: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Expressions (T, N) about the sequence's own neutral face, gaps filled: float32 (T, N).

    Neutral is the median of the frames that were seen, dimension by dimension: eyes are open in most frames, so a
    person with narrow eyes, or one who blinks much, does not narrow those of another.
    """
    neutral = np.median(expression[seen], axis=0)
    return fill_gaps(expression - neutral, seen)


def ease_in(pose: np.ndarray, ease_frames: float = EASE_FRAMES) -> np.ndarray:
    """Head motion (T, 6) that starts at zero: pose(t) - pose(0) exp(-t / ease_frames), float32.

    So the first frame shows the source's own pose, and the head then moves about the same mean as its driver.
    """
    fade = np.exp(-np.arange(len(pose)) / ease_frames)[:, None]
    eased: np.ndarray = (pose - pose[:1] * fade).astype(np.float32)
    return eased


def mean_face(model: FaceModel) -> np.ndarray:
    """MediaPipe's vertices of a model's mean face, float64 (468, 3).

    Raises `UserError` when the model's landmark map lacks some.
    """
    mean = np.full((NUM_VERTICES, 3), np.nan)
    mean[model.landmark_map.landmarks] = model.landmark_mean
    if np.isnan(mean).any():
        raise UserError(f"face model {model.name}: its landmark map lacks vertices; all {NUM_VERTICES} are needed")
    return mean


def closed_mouth(model: FaceModel, lip: Sequence[int]) -> np.ndarray:
    """The expression whose lip dimensions close the mouth of the model's mean face: float32 (N,), 0 elsewhere.

    The mean face of a speaker's clip, which is expression 0, holds its lips apart. Weighted least squares over the lip
    region, for the face that `chdtf.animate.open_mouth` draws with an opening of 0.
    """
    mean = mean_face(model)
    shut = open_mouth(mean, 0.0).astype(np.float64) - mean
    root = np.sqrt(np.repeat(region_weights(mean)[0] * model.fit_weights, 3))
    basis = model.landmark_expression[list(lip)].reshape(len(lip), -1)
    found, *_ = np.linalg.lstsq((basis * root).T, shut.reshape(-1) * root, rcond=None)
    expression = np.zeros(model.num_expression, np.float32)
    expression[list(lip)] = found
    return expression
