"""Blink: blinks per second by the eye aspect ratio."""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from benchmark.metric import Footage, MetricBase
from chdtf.faces import eye_aspect_ratio
from chdtf.schema import FPS


@dataclasses.dataclass(frozen=True)
class Metric(MetricBase):
    """A blink is a run of 2 to 15 frames with EAR below 0.7 x the clip's median that ends in re-opening.

    Open eyes measure 0.20-0.42 by person, so a fixed threshold miscounts narrow ones; `fixed_ear` gives it all the
    same. A set's rate is all blinks over all seconds, with the exact Poisson interval: short clips quantise (one
    blink in 4.2 s is 0.24/s). Frames without a face count neither as open nor as closed, nor as time.
    """

    name: ClassVar[str] = "blink"
    label: ClassVar[str] = "Blink"
    unit: ClassVar[str] = "1/s"
    higher_is_better: ClassVar[bool | None] = None
    source: ClassVar[str] = (
        "EAR of Soukupova and Cech 2016 (2-D, mean of both eyes) on MediaPipe Face Mesh; runs below a relative level"
    )
    needs: ClassVar[frozenset[str]] = frozenset({"landmarks"})
    packages: ClassVar[tuple[str, ...]] = (*MetricBase.packages, "mediapipe")

    relative_ear: float = 0.7  # threshold as a share of the clip's median
    floor_ear: float = 0.1  # the threshold is never lower: a face that never opens its eyes does not blink
    fixed_ear: float | None = None  # the field's 0.2, instead of the relative threshold
    min_frames: int = 2
    max_frames: int = 15
    min_face_share: float = 0.5

    def measure(self, generated: Footage, reference: Footage | None, model: Any) -> np.ndarray:
        """Float64 (4,): blinks and seconds of the clip, then of the reference (NaN without one or without its face)."""
        ours = self._count(generated.face_landmarks(self.min_face_share))
        theirs = (np.nan, np.nan)
        if reference is not None and np.isfinite(reference.landmarks[:, 0, 0]).any():
            theirs = self._count(reference.landmarks)
        return np.array([*ours, *theirs])

    def _count(self, landmarks: np.ndarray) -> tuple[float, float]:
        ear = eye_aspect_ratio(landmarks)
        threshold = self.fixed_ear or max(self.relative_ear * float(np.nanmedian(ear)), self.floor_ear)
        blinks = count_blinks(ear, threshold, self.min_frames, self.max_frames)
        return float(blinks), float(np.isfinite(ear).sum() / FPS)

    def clip_value(self, values: np.ndarray) -> float:
        """Blinks per second of one clip."""
        return float(values[0] / values[1])

    def reduce(self, arrays: Sequence[np.ndarray]) -> float:
        """All blinks over all seconds."""
        blinks, seconds = np.sum([values[:2] for values in arrays], axis=0)
        return float(blinks / seconds)

    def interval(self, arrays: Sequence[np.ndarray], seed: int = 0) -> tuple[float, float] | None:
        """Exact 95 % Poisson interval of the pooled rate."""
        from scipy.special import gammaincinv

        blinks, seconds = np.sum([values[:2] for values in arrays], axis=0)
        low = gammaincinv(blinks, 0.025) if blinks else 0.0
        return float(low / seconds), float(gammaincinv(blinks + 1, 0.975) / seconds)

    def details(self, values: np.ndarray) -> dict[str, float]:
        """Counts and seconds, and the distance to the reference's rate, which is what should be small."""
        found = {"blinks": float(values[0]), "seconds": float(values[1])}
        if np.isfinite(values[2]):
            rate = float(values[2] / values[3])
            found |= {"reference_rate": rate, "rate_difference": abs(self.clip_value(values) - rate)}
        return found


def count_blinks(ear: np.ndarray, threshold: float, min_frames: int, max_frames: int) -> int:
    """Runs of `ear` (T,) below the threshold, `min_frames` to `max_frames` long, followed by a frame above it."""
    closed = ear < threshold  # False for NaN: a run that ends in a missing face is not seen to re-open
    edges = np.flatnonzero(np.diff(np.concatenate([[False], closed, [False]]).astype(np.int8)))
    starts, ends = edges[::2], edges[1::2]
    long_enough = (ends - starts >= min_frames) & (ends - starts <= max_frames)
    reopened = np.append(ear, np.nan)[ends] >= threshold
    return int((long_enough & reopened).sum())
