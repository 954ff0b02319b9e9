"""Mouth-opening correlation: whether the mouth opens when the ground truth's does."""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from benchmark import face_pairs
from benchmark.metric import Footage, MetricBase, Unscored
from chdtf.faces import LOWER_INNER_LIP, OUTER_EYE_CORNERS, UPPER_INNER_LIP

STILL = 1e-3  # of the distance of the outer eye corners: what the tracker alone makes a mouth in repeated frames move


@dataclasses.dataclass(frozen=True)
class Metric(MetricBase):
    """Pearson correlation of the mouth opening with the reference's, over the common frames; mean over clips.

    The opening is the gap of the inner lips in px, and a correlation does not see how large a face is shown. It is not
    LSE-C, knows no sound and needs the ground truth; on the paper's page it ranks methods much as the paper's LSE-C
    does (rank correlation 0.64-0.86). No lag is searched for. A mouth that does not move at all has no correlation; one
    that codec or tracker make tremble has one near 0.
    """

    name: ClassVar[str] = "mouth_open_corr"
    label: ClassVar[str] = "Mouth corr."
    unit: ClassVar[str] = ""
    higher_is_better: ClassVar[bool | None] = True
    source: ClassVar[str] = (
        "Pearson correlation of the distance of vertices 13 and 14 (MediaPipe Face Mesh, x and y) with the ground "
        "truth's; this project's own"
    )
    needs: ClassVar[frozenset[str]] = frozenset({"reference", "landmarks"})
    packages: ClassVar[tuple[str, ...]] = (*MetricBase.packages, *face_pairs.PACKAGES)

    min_face_share: float = 0.5

    def measure(self, generated: Footage, reference: Footage | None, model: Any) -> np.ndarray:
        """Float64 (T, 2): px between the lips in every common frame, ours and the reference's, NaN without a face."""
        p, q, both = face_pairs.paired_faces(generated, reference, self.min_face_share)
        for whose, points in (("generated", p), ("reference", q)):
            if is_still(points):
                raise Unscored(f"constant: the mouth of the {whose} video does not move")
        return face_pairs.on_frames(np.stack([lip_gap(p), lip_gap(q)], axis=1), both)

    def clip_value(self, values: np.ndarray) -> float:
        """Pearson correlation of the two columns."""
        ours, theirs = (values - np.nanmean(values, axis=0)).T
        length = np.sqrt(np.nansum(ours**2) * np.nansum(theirs**2))
        return float(np.nansum(ours * theirs) / length) if length > 0 else float("nan")

    def reduce(self, arrays: Sequence[np.ndarray]) -> float:
        """Mean of the clips' correlations."""
        return float(self.terms(arrays)[:, 0].mean())

    def terms(self, arrays: Sequence[np.ndarray]) -> np.ndarray:
        """The clips' correlations, each counting once: float64 (clips, 2)."""
        return np.array([[self.clip_value(values), 1.0] for values in arrays])

    def details(self, values: np.ndarray) -> dict[str, float]:
        """Frames measured and missing, and how much the mouth moves compared with the reference's."""
        ours, theirs = np.nanstd(values, axis=0)
        return {**face_pairs.coverage(values[:, 0]), "movement_ratio": float(ours / theirs)}


def lip_gap(points: np.ndarray) -> np.ndarray:
    """Distance of the inner lips' middle points in px: (T, 478, 2) -> (T,)."""
    return _distance(points, UPPER_INNER_LIP, LOWER_INNER_LIP)


def is_still(points: np.ndarray) -> bool:
    """Whether the middle four fifths of the openings (T, 478, 2) lie closer together than tracking is exact."""
    low, high = np.percentile(lip_gap(points), [10, 90])
    return bool(high - low < STILL * np.median(_distance(points, *OUTER_EYE_CORNERS)))


def _distance(points: np.ndarray, a: int, b: int) -> np.ndarray:
    return np.asarray(np.linalg.norm(points[:, a] - points[:, b], axis=-1))
