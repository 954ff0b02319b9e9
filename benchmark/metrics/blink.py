"""Blink: blinks per second by the eye aspect ratio."""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from benchmark.blinking import BlinkRule
from benchmark.metric import Footage


@dataclasses.dataclass(frozen=True)
class Metric(BlinkRule):
    """A blink is a run of 2 to 15 frames with EAR below 0.7 x the clip's median that ends in re-opening.

    Open eyes measure 0.20-0.42 by person, so a fixed threshold miscounts narrow ones (`blink_fixed`). A set's rate is
    all blinks over all seconds, with the exact Poisson interval: short clips quantise (one blink in 4.2 s is 0.24/s).
    Frames without a face count neither as open nor as closed, nor as time.
    """

    name: ClassVar[str] = "blink"
    label: ClassVar[str] = "Blink"
    higher_is_better: ClassVar[bool | None] = None
    source: ClassVar[str] = (
        "EAR of Soukupova and Cech 2016 (2-D, mean of both eyes) on MediaPipe Face Mesh; runs below a relative level"
    )

    def measure(self, generated: Footage, reference: Footage | None, model: Any) -> np.ndarray:
        """Float64 (5,): blinks and seconds; the reference's (NaN without one or its face); frames without a face."""
        ours = self.count(generated.face_landmarks(self.min_face_share))
        theirs = (np.nan, np.nan)
        if reference is not None and np.isfinite(reference.landmarks[:, 0, 0]).any():
            theirs = self.count(reference.landmarks)
        return np.array([*ours, *theirs, np.isnan(generated.landmarks[:, 0, 0]).sum()])

    def clip_value(self, values: np.ndarray) -> float:
        """Blinks per second of one clip."""
        return float(values[0] / values[1])

    def reduce(self, arrays: Sequence[np.ndarray]) -> float:
        """All blinks over all seconds."""
        blinks, seconds = self.terms(arrays).sum(axis=0)
        return float(blinks / seconds)

    def terms(self, arrays: Sequence[np.ndarray]) -> np.ndarray:
        """Blinks and seconds of each clip: float64 (clips, 2)."""
        return np.array([values[:2] for values in arrays])

    def interval(self, arrays: Sequence[np.ndarray]) -> tuple[float, float] | None:
        """Exact 95 % Poisson interval of the pooled rate."""
        from scipy.special import gammaincinv

        blinks, seconds = self.terms(arrays).sum(axis=0)
        low = gammaincinv(blinks, 0.025) if blinks else 0.0
        return float(low / seconds), float(gammaincinv(blinks + 1, 0.975) / seconds)

    def details(self, values: np.ndarray) -> dict[str, float]:
        """Counts, seconds, frames without a face, and the distance to the reference's rate, which should be small."""
        found = {"blinks": float(values[0]), "seconds": float(values[1]), "missing_frames": float(values[4])}
        if np.isfinite(values[2]):
            rate = float(values[2] / values[3])
            found |= {"reference_rate": rate, "rate_difference": abs(self.clip_value(values) - rate)}
        return found
