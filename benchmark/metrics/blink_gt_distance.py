"""Blink distance: how far a clip's blink rate is from its ground truth's."""

import dataclasses
from typing import Any, ClassVar

import numpy as np

from benchmark.blinking import BlinkRule
from benchmark.metric import Footage, Unscored


@dataclasses.dataclass(frozen=True)
class Metric(BlinkRule):
    """|rate - rate of the reference| of each clip in blinks per second, by the rule of `blink`; mean over clips.

    Rates of short clips are coarse (one blink in 4.2 s is 0.24/s), so two persons who blink equally often do not reach
    0: it is for comparing methods on the same clips. Both rates are over the frames that show a face.
    """

    name: ClassVar[str] = "blink_gt_distance"
    label: ClassVar[str] = "Blink distance to GT"
    higher_is_better: ClassVar[bool | None] = False
    source: ClassVar[str] = "absolute difference to the ground truth's rate; EAR of Soukupova and Cech 2016 as in blink"
    needs: ClassVar[frozenset[str]] = frozenset({"reference", "landmarks"})

    def measure(self, generated: Footage, reference: Footage | None, model: Any) -> np.ndarray:
        """Float64 (1, 6): the distance, blinks and seconds of the clip, the reference's, frames without a face."""
        if reference is None:
            raise Unscored("no_reference")
        blinks, seconds = self.count(generated.face_landmarks(self.min_face_share))
        true_blinks, true_seconds = self.count(reference.face_landmarks(self.min_face_share))
        missing = np.isnan(generated.landmarks[:, 0, 0]).sum()
        distance = abs(blinks / seconds - true_blinks / true_seconds)
        return np.array([[distance, blinks, seconds, true_blinks, true_seconds, missing]])

    def details(self, values: np.ndarray) -> dict[str, float]:
        """Both rates, and frames without a face."""
        _, blinks, seconds, true_blinks, true_seconds, missing = values[0]
        return {
            "rate": float(blinks / seconds),
            "reference_rate": float(true_blinks / true_seconds),
            "missing_frames": float(missing),
        }
