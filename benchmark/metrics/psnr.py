"""PSNR: per-frame peak signal-to-noise ratio against the reference."""

import dataclasses
from typing import Any, ClassVar

import numpy as np

from benchmark.footage import paired
from benchmark.metric import Footage, MetricBase, Unscored


@dataclasses.dataclass(frozen=True)
class Metric(MetricBase):
    """PSNR = 10 log10(255^2 / MSE) in dB, MSE over all H x W x 3 values of a frame; mean over frames, then over clips.

    Identical frames are infinite. They are kept per frame, counted, and left out of means; a clip is infinite only when
    every frame is.
    """

    name: ClassVar[str] = "psnr"
    label: ClassVar[str] = "PSNR"
    unit: ClassVar[str] = "dB"
    higher_is_better: ClassVar[bool | None] = True
    source: ClassVar[str] = (
        "Hore and Ziou 2010; on 8-bit RGB without wrap-around, by frame, as in skimage.metrics.peak_signal_noise_ratio"
    )
    needs: ClassVar[frozenset[str]] = frozenset({"reference"})
    digits: ClassVar[int] = 2
    geometries: ClassVar[frozenset[str]] = frozenset({"same_frame", "pasted_back", "recrop"})

    def measure(self, generated: Footage, reference: Footage | None, model: Any) -> np.ndarray:
        """PSNR of every common frame, float64 (T,) dB, +inf where the frames are identical."""
        if reference is None:
            raise Unscored("no_reference")
        ours, theirs = paired(generated, reference)
        mse = [
            squared_error(a, b) / a.size for a, b in zip(generated.frames[ours], reference.frames[theirs], strict=True)
        ]
        with np.errstate(divide="ignore"):
            values: np.ndarray = 10 * np.log10(255.0**2 / np.array(mse))
        return values

    def details(self, values: np.ndarray) -> dict[str, float]:
        """Number of frames identical with the reference."""
        return {"infinite_frames": float(np.isinf(values).sum())}


def squared_error(a: np.ndarray, b: np.ndarray) -> int:
    """Sum of squared differences of two uint8 images, exact: subtracting uint8 arrays as they are would wrap around."""
    import cv2

    return round(cv2.norm(a, b, cv2.NORM_L2SQR))
