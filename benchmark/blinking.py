"""When eyes blink: the rule that the metrics of blinking share."""

import dataclasses
from typing import ClassVar

import numpy as np

from benchmark import face_pairs
from benchmark.metric import MetricBase
from chdtf.faces import eye_aspect_ratio
from chdtf.schema import FPS


@dataclasses.dataclass(frozen=True)
class BlinkRule(MetricBase):
    """A blink is a run of frames whose EAR lies below a threshold, neither too short nor too long, that ends open."""

    unit: ClassVar[str] = "1/s"
    needs: ClassVar[frozenset[str]] = frozenset({"landmarks"})
    packages: ClassVar[tuple[str, ...]] = (*MetricBase.packages, *face_pairs.PACKAGES)

    relative_ear: float = 0.7  # threshold as a share of the clip's median
    floor_ear: float = 0.1  # the threshold is never lower: a face that never opens its eyes does not blink
    fixed_ear: float | None = None  # a threshold for all faces, instead of the relative one
    min_frames: int = 2
    max_frames: int | None = 15  # None: no limit
    min_face_share: float = 0.5

    def count(self, landmarks: np.ndarray) -> tuple[float, float]:
        """Blinks, and seconds in which a face was seen, of (T, 478, 3) landmarks with a face in at least one frame."""
        ear = eye_aspect_ratio(landmarks)
        threshold = self.fixed_ear
        if threshold is None:
            threshold = max(self.relative_ear * float(np.nanmedian(ear)), self.floor_ear)
        blinks = count_blinks(ear, threshold, self.min_frames, self.max_frames)
        return float(blinks), float(np.isfinite(ear).sum() / FPS)


def count_blinks(ear: np.ndarray, threshold: float, min_frames: int, max_frames: int | None = None) -> int:
    """Runs of `ear` (T,) below the threshold, `min_frames` to `max_frames` long, followed by a frame above it."""
    closed = ear < threshold  # False for NaN: a run that ends in a missing face is not seen to re-open
    edges = np.flatnonzero(np.diff(np.concatenate([[False], closed, [False]]).astype(np.int8)))
    starts, ends = edges[::2], edges[1::2]
    longest = len(ear) if max_frames is None else max_frames
    long_enough = (ends - starts >= min_frames) & (ends - starts <= longest)
    reopened = np.append(ear, np.nan)[ends] >= threshold
    return int((long_enough & reopened).sum())
