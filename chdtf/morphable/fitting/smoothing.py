"""Temporal smoothing of fitted coefficients: zero phase, events kept, gaps not bridged.

Each coefficient is smoothed by Whittaker's penalised least squares (Whittaker 1923; Eilers, "A perfect smoother",
Analytical Chemistry 75, 2003), of second differences,

    sum_t (x_t - y_t)^2 + lambda sum_t v_t (x_{t-1} - 2 x_t + x_{t+1})^2,

with a weight v_t that falls where the coefficient accelerates far beyond its own jitter: a blink or a plosive is left
alone, while what trembles is held still. Forward and backward in time give the same.
"""

import dataclasses

import numpy as np
from scipy.linalg import solveh_banded
from scipy.ndimage import correlate1d
from scipy.spatial.transform import Rotation

from chdtf.morphable.coefficients import Coefficients
from chdtf.schema import FPS

_WINDOW = 5  # frames over which activity is measured
_STILL = 0.1  # so many of the frames are taken for still


@dataclasses.dataclass(frozen=True)
class SmoothSettings:
    """How much is smoothed. Raises `ValueError` unless all are above 0."""

    smooth_s: float = 0.16  # half of the period whose amplitude is halved in still stretches
    fps: float = FPS
    keep: float = 1.0  # above so many times the clip's least activity, motion is kept more and more

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if not (value > 0 and np.isfinite(value)):
                raise ValueError(f"{field.name} is {value}; it must be above 0")

    @property
    def penalty(self) -> float:
        """lambda: with v = 1 the gain at angular frequency w is 1 / (1 + lambda (2 sin(w / 2))^4)."""
        period = max(2 * self.smooth_s * self.fps, 2.0)  # frames; nothing is faster than every other frame
        return float((2 * np.sin(np.pi / period)) ** -4)


def smooth(coefficients: Coefficients, settings: SmoothSettings | None = None) -> Coefficients:
    """Smooth expression, rotation, translation and scale within each run of valid frames.

    Rotations are smoothed as rotations (in the tangent space at the run's mean), the scale as its logarithm. The
    identity and `valid` stay; runs of one or two frames stay as they are.
    """
    settings = settings or SmoothSettings()
    runs = [run for run in _runs(coefficients.valid) if len(run) > 2]
    means = [Rotation.from_rotvec(coefficients.rotation[run].astype(np.float64)).mean() for run in runs]
    tracks = [_track(coefficients, run, mean) for run, mean in zip(runs, means, strict=True)]
    if not tracks:
        return coefficients
    activities = [_activity(track) for track in tracks]
    jitter = np.quantile(np.concatenate(activities), _STILL, axis=0)
    arrays = {name: getattr(coefficients, name).copy() for name in ("expression", "rotation", "translation", "scale")}
    for run, mean, track, activity in zip(runs, means, tracks, activities, strict=True):
        moving = activity / np.maximum(settings.keep * jitter, 1e-12)
        penalty = settings.penalty / (1 + moving**4)
        found = np.stack([_whittaker(*one) for one in zip(track.T, penalty.T, strict=True)], axis=1)
        arrays["expression"][run] = found[:, :-7]
        arrays["rotation"][run] = (mean * Rotation.from_rotvec(found[:, -7:-4])).as_rotvec()
        arrays["translation"][run] = found[:, -4:-1]
        arrays["scale"][run] = np.exp(found[:, -1])
    return coefficients.replace(**arrays)


def _runs(valid: np.ndarray) -> list[np.ndarray]:
    """Numbers of the frames of each unbroken run of valid ones."""
    frames = np.flatnonzero(valid)
    return np.split(frames, np.flatnonzero(np.diff(frames) > 1) + 1) if len(frames) else []


def _track(coefficients: Coefficients, run: np.ndarray, mean: Rotation) -> np.ndarray:
    """What is smoothed of one run, float64 (n, K + 7): expression, rotation about its mean, translation, log scale."""
    turns = mean.inv() * Rotation.from_rotvec(coefficients.rotation[run].astype(np.float64))
    rest = [turns.as_rotvec(), coefficients.translation[run], np.log(coefficients.scale[run, None].astype(np.float64))]
    return np.concatenate([coefficients.expression[run].astype(np.float64), *rest], axis=1)


def _activity(track: np.ndarray) -> np.ndarray:
    """How much each coefficient bends around each inner frame of a run: RMS of second differences, (n - 2, D)."""
    power = np.diff(track, 2, axis=0) ** 2
    # not a running sum, whose rounding leaves less than nothing where frames stand still after an event
    activity: np.ndarray = np.sqrt(correlate1d(power, np.full(_WINDOW, 1 / _WINDOW), axis=0, mode="nearest"))
    return activity


def _whittaker(values: np.ndarray, penalty: np.ndarray) -> np.ndarray:
    """One coefficient of one run, (n,), with the penalty of each inner frame, (n - 2,)."""
    found: np.ndarray = solveh_banded(_system(penalty, len(values)), values, lower=True)
    return found


def _system(penalty: np.ndarray, count: int) -> np.ndarray:
    """1 + D^T diag(penalty) D with second differences D, as the three lower bands (3, n) that SciPy takes."""
    bands = np.zeros((3, count))
    bands[0] = 1.0
    for offset, factor in ((0, 1.0), (1, 4.0), (2, 1.0)):
        bands[0, offset : count - 2 + offset] += factor * penalty
    bands[1, : count - 2] -= 2 * penalty
    bands[1, 1 : count - 1] -= 2 * penalty
    bands[2, : count - 2] = penalty
    return bands
