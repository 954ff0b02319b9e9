"""CPBD: cumulative probability of blur detection, a no-reference sharpness measure.

Written from the published algorithm and checked against the authors' CPBD_compute.m (October 2009), whose notice asks
to stand in every file derived from it:

    Copyright (c) 2009-2010 Arizona Board of Regents. All Rights Reserved.
    Contact: Lina Karam (karam@asu.edu) and Niranjan D. Narvekar (nnarveka@asu.edu)
    Image, Video, and Usabilty (IVU) Lab, ivulab.asu.edu, Arizona State University
    This copyright statement may not be removed from this file or from modifications to this file. This copyright
    notice must also be included in any file or product that is derived from this source file.

    Redistribution and use of this code in source and binary forms, with or without modification, are permitted
    provided that the following conditions are met:
    - Redistribution's of source code must retain the above copyright notice, this list of conditions and the
      following disclaimer.
    - Redistribution's in binary form must reproduce the above copyright notice, this list of conditions and the
      following disclaimer in the documentation and/or other materials provided with the distribution.
    - The Image, Video, and Usability Laboratory (IVU Lab, http://ivulab.asu.edu) is acknowledged in any publication
      that reports research results using this code, copies of this code, or modifications of this code. The code and
      our papers are to be cited in the bibliography as:
      N. D. Narvekar and L. J. Karam, "CPBD Sharpness Metric Software", http://ivulab.asu.edu/Quality/CPBD
      N. D. Narvekar and L. J. Karam, "A No-Reference Perceptual Image Sharpness Metric Based on a Cumulative
      Probability of Blur Detection," QoMEX 2009, pp. 87-91, July 2009.
      N. D. Narvekar and L. J. Karam, "An Improved No-Reference Sharpness Metric Based on the Probability of Blur
      Detection," VPQM, January 2010.
    DISCLAIMER: This software is provided by the copyright holders and contributors "as is" and any express or implied
    warranties, including, but not limited to, the implied warranties of merchantability and fitness for a particular
    purpose are disclaimed. In no event shall the Arizona Board of Regents, Arizona State University, IVU Lab members,
    or contributors be liable for any direct, indirect, incidental, special, exemplary, or consequential damages
    (including, but not limited to, procurement of substitute goods or services; loss of use, data, or profits; or
    business interruption) however caused and on any theory of liability, whether in contract, strict liability, or
    tort (including negligence or otherwise) arising in any way out of the use of this software, even if advised of
    the possibility of such damage.
"""

import dataclasses
from typing import Any, ClassVar

import cv2
import numpy as np

from benchmark.metric import Footage, MetricBase

BLOCK_PX = 64
EDGE_SHARE = 0.002  # a block counts when more than this share of its pixels are Canny edges
SOBEL_THRESHOLD = 2  # on the kernel divided by 8
LOW_CONTRAST = 50  # blocks up to this contrast have the wider just-noticeable blur
WIDTH_JNB = (5, 3)  # px, for low and high contrast
BETA = 3.6
MAX_SIDE_PX = 101  # an edge's width is searched this far to either side
SHARP_BINS = 64  # of the histogram of round(100 P): blur not detected, P <= 63 %
CANNY_SIGMA = 2**0.5
CANNY_NON_EDGES = 0.7  # MATLAB's automatic threshold: this share of pixels is not edges
CANNY_LOW = 0.4  # of the high threshold
CANNY_SCALE = 16_000  # largest gradient as int16


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


def cpbd(grey: np.ndarray) -> float:
    """CPBD of one grey image, (H, W) in 0-255; 0 when it has no edges.

    Values are rounded to whole grey levels, as in the original, where the image is 8-bit. Raises `ValueError` for data
    in [0, 1]: it would give a plausible number without meaning.
    """
    if np.issubdtype(grey.dtype, np.floating):
        if grey.size and grey.max() <= 1:
            raise ValueError(f"grey levels are {grey.dtype} up to {grey.max():g}; CPBD needs 0-255, so multiply by 255")
        grey = np.round(grey)
    image = grey.astype(np.uint8)
    widths = edge_widths(image)
    blocks = _blocks(image)
    is_edge_block = _blocks(canny(image)).sum(axis=1) > EDGE_SHARE * BLOCK_PX**2
    contrast = blocks.max(axis=1).astype(int) - blocks.min(axis=1)
    jnb = np.where(contrast <= LOW_CONTRAST, *WIDTH_JNB)
    in_blocks = _blocks(widths)
    found = (in_blocks > 0) & is_edge_block[:, None]
    if not found.any():
        return 0.0
    blur = 1 - np.exp(-((in_blocks / jnb[:, None])[found] ** BETA))
    return float((np.floor(100 * blur + 0.5) < SHARP_BINS).mean())


def _blocks(image: np.ndarray) -> np.ndarray:
    """(H, W) -> (blocks, 64 * 64); rows and columns that fill no block are left out."""
    rows, columns = image.shape[0] // BLOCK_PX, image.shape[1] // BLOCK_PX
    cut = image[: rows * BLOCK_PX, : columns * BLOCK_PX].reshape(rows, BLOCK_PX, columns, BLOCK_PX)
    return cut.transpose(0, 2, 1, 3).reshape(rows * columns, -1)


def sobel_edges(image: np.ndarray) -> np.ndarray:
    """Vertical edges of a uint8 image, bool (H, W): b = (Sobel / 8)^2 > 4, thinned to maxima along row or column."""
    strength = np.abs(cv2.Sobel(image, cv2.CV_16S, 1, 0, ksize=3, borderType=cv2.BORDER_REPLICATE))
    around = np.pad(strength, 1, mode="edge")
    along_row = (around[1:-1, :-2] <= strength) & (strength > around[1:-1, 2:])
    along_column = (around[:-2, 1:-1] <= strength) & (strength > around[2:, 1:-1])
    edges: np.ndarray = (strength > 8 * SOBEL_THRESHOLD) & (along_row | along_column)
    return edges


def edge_widths(image: np.ndarray) -> np.ndarray:
    """Width in px of every vertical edge of a uint8 image, int16 (H, W); 0 elsewhere and in the outermost pixels.

    The width (Marziliano et al. 2002) runs from the last pixel before grey levels stop falling on one side to where
    they stop rising on the other. Edges count whose gradient is within 22.5 degrees of the row.
    """
    grey = image.astype(np.int16)
    across = grey[1:-1, 2:] - grey[1:-1, :-2]
    down = grey[2:, 1:-1] - grey[:-2, 1:-1]
    is_level = np.abs(down) < np.tan(np.pi / 8) * np.abs(across)
    edges = sobel_edges(image)[1:-1, 1:-1]
    step = np.diff(grey[1:-1], axis=1)
    rising = _run_widths(step > 0)
    falling = _run_widths(step < 0)
    # a gradient straight down counts as rising: the original tests Gy against pi/2, which never holds for grey levels
    width = np.where(is_level & (across < 0), falling, np.where(is_level | (across == 0), rising, 0))
    out = np.zeros(grey.shape, np.int16)
    out[1:-1, 1:-1] = np.where(edges, width, 0)
    return out


def _run_widths(goes_on: np.ndarray) -> np.ndarray:
    """Steps (R, W - 1) that continue a run -> both sides' widths around every inner pixel, int16 (R, W - 2).

    Pixel n looks right from step n + 1 and left from step n - 2; each side is the number of steps until the first that
    does not go on, plus one.
    """
    rows, num_steps = goes_on.shape
    position = np.arange(num_steps + 2, dtype=np.int16)  # a stop at either end
    padded = np.zeros((rows, num_steps + 2), bool)
    padded[:, 1:-1] = goes_on
    stop_right = np.where(padded, np.int16(num_steps + 2), position)[:, ::-1]
    stop_right = np.minimum.accumulate(stop_right, axis=1)[:, ::-1]
    stop_left = np.maximum.accumulate(np.where(padded, np.int16(-1), position), axis=1)
    right = (stop_right - position)[:, 3:]
    left = (position - stop_left)[:, : num_steps - 1]
    widths: np.ndarray = np.minimum(right + 1, MAX_SIDE_PX) + np.minimum(left + 1, MAX_SIDE_PX)
    return widths


def canny(image: np.ndarray) -> np.ndarray:
    """Canny edges of a uint8 image with MATLAB's smoothing and automatic thresholds, bool (H, W)."""
    offsets = np.arange(16) - 7.5
    smooth = np.exp(-(offsets**2) / (2 * CANNY_SIGMA**2))
    smooth /= smooth.sum()
    slope = np.gradient(smooth)
    slope /= slope[slope > 0].sum()
    grey = image.astype(np.float32)
    options: dict[str, Any] = {"anchor": (7, 7), "borderType": cv2.BORDER_REPLICATE}
    across = cv2.sepFilter2D(grey, cv2.CV_32F, slope, smooth, **options)
    down = cv2.sepFilter2D(grey, cv2.CV_32F, smooth, slope, **options)
    magnitude = cv2.magnitude(across, down)
    peak = float(magnitude.max())
    if peak < 1e-3:  # flat
        return np.zeros(image.shape, bool)
    counts, _ = np.histogram(magnitude, 64, (0.0, peak))
    high = (int(np.argmax(np.cumsum(counts) > CANNY_NON_EDGES * image.size)) + 1) / 64 * CANNY_SCALE
    scaled = [np.round(part * (CANNY_SCALE / peak)).astype(np.int16) for part in (across, down)]
    edges: np.ndarray = cv2.Canny(scaled[0], scaled[1], CANNY_LOW * high, high, L2gradient=True) > 0
    return edges
