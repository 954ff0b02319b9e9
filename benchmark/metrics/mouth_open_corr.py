"""Mouth-opening correlation: whether the mouth opens when the ground truth's does."""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from benchmark import face_pairs
from benchmark.metric import Footage, MetricBase, Unscored
from chdtf.faces import mouth_opening

STILL = 1e-4  # standard deviation of the opening, in distances of the outer eye corners, of a mouth that does not move


@dataclasses.dataclass(frozen=True)
class Metric(MetricBase):
    """Pearson correlation of the mouth opening with the reference's, over the common frames; mean over clips.

    The opening is the gap of the inner lips over the distance of the outer eye corners, so sizes cancel. It is not
    LSE-C, knows no sound and needs the ground truth; on the paper's page it ranks methods much as the paper's LSE-C
    does (rank correlation 0.64-0.86). No lag is searched for. A mouth that does not move has no correlation.
    """

    name: ClassVar[str] = "mouth_open_corr"
    label: ClassVar[str] = "Mouth corr."
    unit: ClassVar[str] = ""
    higher_is_better: ClassVar[bool | None] = True
    source: ClassVar[str] = (
        "Pearson correlation of |13 - 14| / |33 - 263| (MediaPipe Face Mesh, x and y) with the ground truth's; this "
        "project's own"
    )
    needs: ClassVar[frozenset[str]] = frozenset({"reference", "landmarks"})
    packages: ClassVar[tuple[str, ...]] = (*MetricBase.packages, *face_pairs.PACKAGES)

    min_face_share: float = 0.5

    def measure(self, generated: Footage, reference: Footage | None, model: Any) -> np.ndarray:
        """Float64 (T, 2): opening of the mouth in every common frame, ours and the reference's, NaN without a face."""
        p, q, both = face_pairs.paired_faces(generated, reference, self.min_face_share)
        openings = np.stack([mouth_opening(p), mouth_opening(q)], axis=1)
        for whose, opening in zip(("generated", "reference"), openings.T, strict=True):
            if opening.std() < STILL:
                raise Unscored(f"constant: the mouth of the {whose} video does not move")
        return face_pairs.on_frames(openings, both)

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
