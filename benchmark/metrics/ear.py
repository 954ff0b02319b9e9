"""EAR: how wide the eyes are open, frame by frame, and its median."""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from benchmark import face_pairs
from benchmark.footage import paired
from benchmark.metric import Footage, MetricBase
from chdtf.faces import eye_aspect_ratio


@dataclasses.dataclass(frozen=True)
class Metric(MetricBase):
    """EAR = (|p2 - p6| + |p3 - p5|) / (2 |p1 - p4|), in x and y, mean of both eyes; a clip's value is its median.

    The median is that of open eyes, 0.20-0.42 by person: closest to the ground truth's is best. The curve per frame
    is what blinks are counted on. Sizes cancel, so it means something on any crop.
    """

    name: ClassVar[str] = "ear"
    label: ClassVar[str] = "EAR"
    unit: ClassVar[str] = ""
    higher_is_better: ClassVar[bool | None] = None
    source: ClassVar[str] = "Soukupova and Cech 2016, 2-D, mean of both eyes, MediaPipe Face Mesh; median over frames"
    needs: ClassVar[frozenset[str]] = frozenset({"landmarks"})
    packages: ClassVar[tuple[str, ...]] = (*MetricBase.packages, *face_pairs.PACKAGES)

    min_face_share: float = 0.5

    def measure(self, generated: Footage, reference: Footage | None, model: Any) -> np.ndarray:
        """Float64 (T, 2): EAR of every frame, and the reference's at the same moments (NaN where there is none)."""
        values = np.full((generated.num_frames, 2), np.nan)
        values[:, 0] = eye_aspect_ratio(generated.face_landmarks(self.min_face_share))
        if reference is not None:
            ours, theirs = paired(generated, reference)
            values[ours, 1] = eye_aspect_ratio(reference.landmarks)[theirs]
        return values

    def clip_value(self, values: np.ndarray) -> float:
        """Median over the frames with a face."""
        return float(np.nanmedian(values[:, 0]))

    def reduce(self, arrays: Sequence[np.ndarray]) -> float:
        """Mean of the clips' medians."""
        return float(self.terms(arrays)[:, 0].mean())

    def terms(self, arrays: Sequence[np.ndarray]) -> np.ndarray:
        """The clips' medians, each counting once: float64 (clips, 2)."""
        return np.array([[self.clip_value(values), 1.0] for values in arrays])

    def details(self, values: np.ndarray) -> dict[str, float]:
        """Frames measured and missing, the least EAR, and the reference's median over the common frames."""
        found = {**face_pairs.coverage(values[:, 0]), "ear_min": float(np.nanmin(values[:, 0]))}
        if np.isfinite(values[:, 1]).any():
            found["reference_median"] = float(np.nanmedian(values[:, 1]))
            found["median_difference"] = abs(self.clip_value(values) - found["reference_median"])
        return found
