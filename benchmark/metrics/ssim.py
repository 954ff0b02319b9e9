"""SSIM: structural similarity of each frame and the reference's."""

import dataclasses
from typing import Any, ClassVar

import cv2
import numpy as np

from benchmark.footage import paired
from benchmark.metric import Footage, MetricBase, Unscored

WANG: dict[str, Any] = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
UNIFORM: dict[str, Any] = {"win_size": 7, "channel_axis": 2}  # scikit-image's defaults, on colours


@dataclasses.dataclass(frozen=True)
class Metric(MetricBase):
    """Mean of the SSIM map of each frame, then over frames and clips; 1 for equal frames.

    The variant of the SSIM paper: grey, windows of 11x11 px with Gaussian weights (sigma 1.5), population covariance,
    range 255. `uniform` is scikit-image's default: windows of 7x7 px with equal weights, sample covariance, the mean of
    the three colours; it gives 0.03 to 0.06 less, so that values of one cannot be held against the other.
    """

    name: ClassVar[str] = "ssim"
    label: ClassVar[str] = "SSIM"
    unit: ClassVar[str] = ""
    higher_is_better: ClassVar[bool | None] = True
    source: ClassVar[str] = "Wang et al., IEEE TIP 2004, by skimage.metrics.structural_similarity"
    needs: ClassVar[frozenset[str]] = frozenset({"reference"})
    packages: ClassVar[tuple[str, ...]] = (*MetricBase.packages, "scikit-image")
    geometries: ClassVar[frozenset[str]] = frozenset({"same_frame", "pasted_back", "recrop"})

    variant: str = "wang2004"  # or "uniform"
    frame_step: int = 1  # measure every n-th frame

    def __post_init__(self) -> None:
        if self.variant not in ("wang2004", "uniform"):
            raise ValueError(f"variant {self.variant!r}: use wang2004 or uniform")

    def measure(self, generated: Footage, reference: Footage | None, model: Any) -> np.ndarray:
        """SSIM of every `frame_step`-th common frame, float64 (T,)."""
        if reference is None:
            raise Unscored("no_reference")
        ours, theirs = paired(generated, reference)
        pairs = zip(
            generated.frames[ours][:: self.frame_step], reference.frames[theirs][:: self.frame_step], strict=True
        )
        return np.array([self.of_images(a, b) for a, b in pairs])

    def of_images(self, a: np.ndarray, b: np.ndarray) -> float:
        """SSIM of two uint8 (H, W, 3) RGB images, the same either way round."""
        from skimage.metrics import structural_similarity

        if self.variant == "uniform":
            return float(structural_similarity(a, b, data_range=255, **UNIFORM))
        grey = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (a, b)]
        return float(structural_similarity(*grey, data_range=255, **WANG))
