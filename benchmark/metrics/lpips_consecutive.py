"""Consecutive LPIPS: how much each frame differs from the one before it."""

import dataclasses
from typing import Any, ClassVar

import numpy as np

from benchmark import perceptual
from benchmark.metric import Footage, MetricBase, Unscored


@dataclasses.dataclass(frozen=True)
class Metric(MetricBase):
    """LPIPS between frames t and t - 1: a curve over t, and its mean.

    Motion is not taken out of it: a frozen picture has 0, and real video has more than most generated ones. So low
    is not good; what should be small is the distance to the ground truth's value, `distance_to_reference`.
    """

    name: ClassVar[str] = "lpips_consecutive"
    label: ClassVar[str] = "LPIPS(t, t-1)"
    unit: ClassVar[str] = ""
    higher_is_better: ClassVar[bool | None] = None
    source: ClassVar[str] = "the paper's Fig. 6; LPIPS of Zhang et al., CVPR 2018, by the package lpips, net alex, v0.1"
    weights: ClassVar[tuple[str, ...]] = ("alexnet",)
    packages: ClassVar[tuple[str, ...]] = (*MetricBase.packages, "lpips", "torch")
    digits: ClassVar[int] = 4

    def load(self) -> Any:
        """The network. Raises `Unscored` when its weights are absent or another file."""
        return perceptual.load_lpips()

    def measure(self, generated: Footage, reference: Footage | None, model: Any) -> np.ndarray:
        """Float64 (T, 2): the video's curve and the reference's at the same moments, NaN where no frame is before.

        Without a reference the second column is NaN throughout.
        """
        if generated.num_frames < 2:
            raise Unscored(f"too_short: {generated.num_frames} frame has none before it")
        found = perceptual.curves(generated, reference, model)
        return np.stack([found.consecutive, found.reference_consecutive], axis=1)

    def details(self, values: np.ndarray) -> dict[str, float]:
        """The reference's value and the distance to it, over the moments that both show; spread of the curve."""
        found = {"standard_deviation": float(np.nanstd(values[:, 0]))}
        both = np.isfinite(values[:, :2]).all(axis=1)
        if both.any():
            own, reference = values[both, :2].mean(axis=0)
            found |= {"reference_value": float(reference), "distance_to_reference": float(abs(own - reference))}
        return found
