"""CPBD [0,1]: the port on PyPI fed with luma in [0, 1], which gives numbers like the paper's."""

import dataclasses
from typing import Any, ClassVar

import cv2
import numpy as np

from benchmark.metric import Footage, MetricBase
from benchmark.sharpness import cpbd_pypi


@dataclasses.dataclass(frozen=True)
class Metric(MetricBase):
    """The package cpbd 1.0.7 on luma divided by 255: a mistake that is easily made, kept to read papers beside.

    A correct CPBD cannot reach the 0.69-0.91 that papers of this field print for 256x256 video; of all readings that
    were tried, this one alone gives values of that size. It expects 0-255. In [0, 1] its Sobel threshold lies 255 times
    higher, so that 0-150 edges of some thousands are left, and every block counts as one of low contrast. A frame
    without such edges has 0. The value says little about sharpness, and is never ranked.
    """

    name: ClassVar[str] = "cpbd_unit_luma"
    label: ClassVar[str] = "CPBD [0,1]"
    unit: ClassVar[str] = ""
    higher_is_better: ClassVar[bool | None] = True
    source: ClassVar[str] = "the package cpbd 1.0.7 (Narvekar and Karam, IEEE TIP 2011) on luma in [0, 1]"
    variant_of: ClassVar[str] = "cpbd"
    packages: ClassVar[tuple[str, ...]] = (*MetricBase.packages, "scikit-image", "scipy")

    frame_step: int = 1  # measure every n-th frame

    def measure(self, generated: Footage, reference: Footage | None, model: Any) -> np.ndarray:
        """Value of every `frame_step`-th frame, float64 (T,)."""
        frames = generated.frames[:: self.frame_step]
        return np.array([cpbd_pypi(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) / 255.0) for frame in frames])
