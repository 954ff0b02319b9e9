"""What metrics of the distance between landmarks have in common."""

import dataclasses
from typing import Any, ClassVar

import numpy as np

from benchmark import face_pairs
from benchmark.metric import Footage, MetricBase


@dataclasses.dataclass(frozen=True)
class LandmarkDistance(MetricBase):
    """Mean over frames of a distance between the landmarks of generated and reference video, paired by index."""

    unit: ClassVar[str] = "px"
    higher_is_better: ClassVar[bool | None] = False
    needs: ClassVar[frozenset[str]] = frozenset({"reference", "landmarks"})
    packages: ClassVar[tuple[str, ...]] = (*MetricBase.packages, *face_pairs.PACKAGES)

    min_face_share: float = 0.5  # of the frames, in either video and in both

    def distances(self, p: np.ndarray, q: np.ndarray) -> np.ndarray:
        """The distance in column 0, of generated p and reference q, float64 (N, 478, 2) px: (N, C)."""
        raise NotImplementedError

    def measure(self, generated: Footage, reference: Footage | None, model: Any) -> np.ndarray:
        """`distances` of every common frame, float64 (T, C), NaN where either video shows no face."""
        p, q, both = face_pairs.paired_faces(generated, reference, self.min_face_share)
        return face_pairs.on_frames(self.distances(p, q), both)

    def details(self, values: np.ndarray) -> dict[str, float]:
        """Frames measured and frames missing."""
        return dict(face_pairs.coverage(values[:, 0]))


def centred_distance(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Mean distance of (T, L, 2) points after each set's own mean is taken off: (T,)."""
    difference = (p - p.mean(axis=1, keepdims=True)) - (q - q.mean(axis=1, keepdims=True))
    return np.asarray(np.linalg.norm(difference, axis=-1).mean(axis=1))
