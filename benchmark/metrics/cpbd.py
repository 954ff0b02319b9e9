"""CPBD: cumulative probability of blur detection, a no-reference sharpness measure."""

import dataclasses
from typing import Any, ClassVar

import cv2
import numpy as np

from benchmark.metric import Footage, MetricBase
from benchmark.sharpness import cpbd


@dataclasses.dataclass(frozen=True)
class Metric(MetricBase):
    """Share of edges whose blur is not noticed, per frame; mean over frames, then over clips. 0 (blurred) to 1 (sharp).

    Vertical edges by Sobel, each with its width along the row; P(blur) = 1 - exp(-(width / w_JNB)^3.6) in blocks of
    64x64 px that hold enough Canny edges; the value is the share of edges with P <= 63 %. Resizing halves it, so it
    compares only at one size, 256x256 here.
    """

    name: ClassVar[str] = "cpbd"
    label: ClassVar[str] = "CPBD"
    unit: ClassVar[str] = ""
    higher_is_better: ClassVar[bool | None] = True
    source: ClassVar[str] = (
        "Narvekar and Karam, QoMEX 2009 and IEEE TIP 2011; CPBD_compute.m of October 2009 (grey levels 0-255, Sobel "
        "threshold 2 with thinning, Canny gate with automatic thresholds)"
    )

    frame_step: int = 1  # measure every n-th frame

    def measure(self, generated: Footage, reference: Footage | None, model: Any) -> np.ndarray:
        """CPBD of every `frame_step`-th frame, float64 (T,)."""
        frames = generated.frames[:: self.frame_step]
        return np.array([cpbd(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)) for frame in frames])
