"""FID: distance between the distributions of generated and real frames."""

import dataclasses
import logging
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from benchmark.metric import Footage, MetricBase, Unscored
from chdtf import weights

log = logging.getLogger(__name__)

FEATURES = 2048
MIN_FRAMES = FEATURES  # of either side; with fewer, covariances lack rank and the value is biased upwards


@dataclasses.dataclass(frozen=True)
class Metric(MetricBase):
    """FID = |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)) of Inception v3's pooled features of all frames of a set.

    Only a set has a value. The frames of a video resemble each other, so even thousands are few, and the value of few
    clips is biased upwards: compare on the same clips only. A set in which a clip is null has no value, because the
    real side would be another.
    """

    name: ClassVar[str] = "fid"
    label: ClassVar[str] = "FID"
    unit: ClassVar[str] = ""
    higher_is_better: ClassVar[bool | None] = False
    source: ClassVar[str] = (
        "Heusel et al. 2017; mseitzer/pytorch-fid 0.3.0: all frames of both sides at 299x299, features of 2048 after "
        "the last pooling, unbiased covariances"
    )
    needs: ClassVar[frozenset[str]] = frozenset({"reference"})
    weights: ClassVar[tuple[str, ...]] = ("inception_fid",)
    packages: ClassVar[tuple[str, ...]] = (*MetricBase.packages, "torch")
    all_or_none: ClassVar[bool] = True
    digits: ClassVar[int] = 2
    geometries: ClassVar[frozenset[str]] = frozenset({"same_frame", "pasted_back"})
    has_clip_value: ClassVar[bool] = False
    num_resamples: ClassVar[int] = 0  # clips drawn again lower the rank of covariances: every draw would be biased

    frame_step: int = 1  # every frame; 8 KiB of features are stored for each

    def load(self) -> Any:
        """Inception with its verified weights, on the CPU. Raises `Unscored` when they are absent or another file."""
        found = weights.check("inception_fid")
        if found.state == "missing":
            raise Unscored(f"weights_missing: {found.weights.filename}; {found.detail}")
        if found.state != "ok":
            raise Unscored(f"weights_mismatch: {found.weights.filename}: {found.detail}")
        from benchmark.inception import load_inception

        return load_inception(found.path)

    def measure(self, generated: Footage, reference: Footage | None, model: Any) -> np.ndarray:
        """Float64 (T + U, 1 + 1024): `packed` features of T generated frames (column 0 is 1) and U real ones (0)."""
        if reference is None:
            raise Unscored("no_reference")
        from benchmark.inception import features

        sides = [features(model, footage.frames[:: self.frame_step]) for footage in (generated, reference)]
        return np.concatenate([packed(side, is_ours) for side, is_ours in zip(sides, (True, False), strict=True)])

    def clip_value(self, values: np.ndarray) -> float:
        """The distance between the two sides of one clip; as a number it says little."""
        return self.reduce([values])

    def reduce(self, arrays: Sequence[np.ndarray]) -> float:
        """The distance between all generated and all real frames."""
        sides = [[unpacked(values[values[:, 0] == side, 1:]) for values in arrays] for side in (1.0, 0.0)]
        return frechet_distance(*sides)

    def note(self, arrays: Sequence[np.ndarray]) -> str:
        """What a table should say beside the value: that there are too few frames; else empty."""
        ours = int(sum((values[:, 0] == 1).sum() for values in arrays))
        few = min(ours, sum(len(values) for values in arrays) - ours)
        return f"{few} frames, fewer than {MIN_FRAMES}: biased upwards" if few < MIN_FRAMES else ""

    def details(self, values: np.ndarray) -> dict[str, float]:
        """Frames of either side."""
        ours = float((values[:, 0] == 1).sum())
        return {"frames": ours, "reference_frames": len(values) - ours}


def packed(features: np.ndarray, is_ours: bool) -> np.ndarray:
    """Float32 (T, 2 D) features as float64 (T, 1 + D): a column that tells the side, then two numbers in one.

    Half the room. No number is computed with; a pair of finite float32 is never a float64 NaN.
    """
    pairs = np.ascontiguousarray(features, dtype="<f4").view("<f8")
    return np.column_stack([np.full(len(features), float(is_ours)), pairs])


def unpacked(pairs: np.ndarray) -> np.ndarray:
    """Float64 (T, D) as `packed` made it -> float32 (T, 2 D)."""
    return np.ascontiguousarray(pairs, dtype="<f8").view("<f4")


def frechet_distance(ours: Sequence[np.ndarray], theirs: Sequence[np.ndarray]) -> float:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)) of two samples, each given in parts (T, D); NaN below two rows.

    With C = F'F the trace of the root is the sum of the singular values of F1 F2', which stays exact where covariances
    lack rank and a matrix square root of their product does not.
    """
    if min(sum(len(part) for part in side) for side in (ours, theirs)) < 2:
        return float("nan")
    (m1, f1), (m2, f2) = _moments(ours), _moments(theirs)
    root = np.linalg.svd(f1 @ f2.T, compute_uv=False).sum()
    # rounding can leave less than nothing
    return max(0.0, float(((m1 - m2) ** 2).sum() + (f1**2).sum() + (f2**2).sum() - 2 * root))


def _moments(parts: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Mean (D,) of all rows, and F (R, D) with F'F their covariance; R is the smaller of rows and D."""
    count = sum(len(part) for part in parts)
    mean = np.sum([part.sum(axis=0, dtype=np.float64) for part in parts], axis=0) / count
    centred = (part - mean for part in parts)
    if count <= len(mean):
        return mean, np.concatenate(list(centred)) / np.sqrt(count - 1)
    covariance = sum(part.T @ part for part in centred) / (count - 1)
    try:
        return mean, np.linalg.cholesky(covariance).T
    except np.linalg.LinAlgError:  # a feature that never changes, or as good as that
        spread, axes = np.linalg.eigh(covariance)
        return mean, np.sqrt(np.maximum(spread, 0))[:, None] * axes.T
