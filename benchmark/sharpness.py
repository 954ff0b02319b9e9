"""Sharpness by the edges' widths: CPBD as published, and as the port on PyPI has it.

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

import bisect
import functools
from typing import Any

import cv2
import numpy as np

BLOCK_PX = 64
EDGE_SHARE = 0.002  # a block counts when more than this share of its pixels are Canny edges
SOBEL_THRESHOLD = 2  # on the kernel divided by 8
LOW_CONTRAST = 50  # blocks up to this contrast have the wider just-noticeable blur
WIDTH_JNB = (5, 3)  # px, for low and high contrast
MAX_SIDE_PX = 101  # an edge's width is searched this far to either side
CANNY_SIGMA = 2**0.5
CANNY_NON_EDGES = 0.7  # MATLAB's automatic threshold: this share of pixels is not edges
CANNY_LOW = 0.4  # of the high threshold
CANNY_BINS = 64
CANNY_SCALE = 16_000  # largest gradient as int16

Edges = tuple[np.ndarray, np.ndarray, np.ndarray]  # rows, columns and widths in px of N edge pixels, (N,) each


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
    return _share_of_sharp(edge_widths(image.astype(np.int16), sobel_edges(image)), image, canny(image))


def cpbd_pypi(levels: np.ndarray) -> float:
    """CPBD of one image, float (H, W) in any range, as the package cpbd 1.0.7 computes it; 0 when it has no edges.

    It differs from `cpbd` in three places: the Sobel threshold is a root of a mean, compared with squares, and so
    depends on the range; thinning is strict; Canny has fixed thresholds of 0.1 and 0.2. In [0, 1] the contrast, cut to
    a whole number, is 0 nearly everywhere.
    """
    from scipy.ndimage import convolve
    from skimage.feature import canny as canny_by_level

    levels = levels.astype(np.float64)
    down, across = np.gradient(levels)
    if not ((across < 0) | ((across != 0) & (down != 0))).any():
        return 0.0  # the package measures no widths where all its angles are 0
    # by SciPy, as there: ties between neighbours are broken by rounding
    kernel = np.array([[1.0, 0.0, -1.0], [2.0, 0.0, -2.0], [1.0, 0.0, -1.0]]) / 8
    strength = np.square(convolve(levels, kernel))
    strength[strength <= 2 * np.sqrt(strength.mean())] = 0
    around = np.pad(strength, 1)
    along_row = (strength > around[1:-1, :-2]) & (strength > around[1:-1, 2:])
    along_column = (strength > around[:-2, 1:-1]) & (strength > around[2:, 1:-1])
    return _share_of_sharp(edge_widths(levels, along_row | along_column), levels, canny_by_level(levels))


def _share_of_sharp(edges: Edges, levels: np.ndarray, gate: np.ndarray) -> float:
    """Part of the edges with P(blur) <= 63 %, in blocks with enough pixels of the gate, bool (H, W).

    P = 1 - exp(-(w / w_JNB)^3.6) is 63 % at w = w_JNB and 85 % one pixel above: those up to w_JNB are sharp.
    """
    rows, columns, widths = edges
    down, across = levels.shape[0] // BLOCK_PX, levels.shape[1] // BLOCK_PX
    block_row, block_column = rows // BLOCK_PX, columns // BLOCK_PX
    inside = (block_row < down) & (block_column < across)  # pixels that fill no block are left out
    contrast = (_by_block(np.maximum, levels).astype(float) - _by_block(np.minimum, levels)).astype(int)
    jnb = np.where(contrast <= LOW_CONTRAST, *WIDTH_JNB).ravel()
    counts = _by_block(np.add, gate.astype(np.int32)).ravel()
    block = (block_row * across + block_column)[inside]
    counted = counts[block] > EDGE_SHARE * BLOCK_PX**2
    if not counted.any():
        return 0.0
    return float((widths[inside] <= jnb[block])[counted].mean())


def _by_block(reduction: np.ufunc, image: np.ndarray) -> np.ndarray:
    """(H, W) -> (rows of blocks, columns of blocks); rows and columns that fill no block are left out."""
    down, across = image.shape[0] // BLOCK_PX, image.shape[1] // BLOCK_PX
    cut = image[: down * BLOCK_PX, : across * BLOCK_PX].reshape(down, BLOCK_PX, across * BLOCK_PX)
    found: np.ndarray = reduction.reduce(reduction.reduce(cut, axis=1).reshape(down, across, BLOCK_PX), axis=2)
    return found


def sobel_edges(image: np.ndarray) -> np.ndarray:
    """Vertical edges of a uint8 image, bool (H, W): b = (Sobel / 8)^2 > 4, thinned to maxima along row or column."""
    strength = np.abs(cv2.Sobel(image, cv2.CV_16S, 1, 0, ksize=3, borderType=cv2.BORDER_REPLICATE))
    around = cv2.copyMakeBorder(strength, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    along_row = (around[1:-1, :-2] <= strength) & (strength > around[1:-1, 2:])
    along_column = (around[:-2, 1:-1] <= strength) & (strength > around[2:, 1:-1])
    edges: np.ndarray = (strength > 8 * SOBEL_THRESHOLD) & (along_row | along_column)
    return edges


def edge_widths(levels: np.ndarray, edges: np.ndarray) -> Edges:
    """Widths in px of vertical edges: signed or float levels (H, W), bool edges (H, W), the outermost pixels left out.

    The width (Marziliano et al. 2002) runs from the last pixel before levels stop falling on one side to where they
    stop rising on the other. Edges count whose gradient is within 22.5 degrees of the row.
    """
    inner = np.ascontiguousarray(edges[1:-1, 1:-1])
    rows, columns = (found + 1 for found in np.divmod(np.flatnonzero(inner), inner.shape[1]))
    across = levels[rows, columns + 1] - levels[rows, columns - 1]
    down = levels[rows + 1, columns] - levels[rows - 1, columns]
    is_level = np.abs(down) < np.tan(np.pi / 8) * np.abs(across)
    # a gradient straight down counts as rising: the original tests Gy against pi/2, which never holds for grey levels
    counts = is_level | (across == 0)
    rows, columns = rows[counts], columns[counts]
    direction = np.where(across[counts] < 0, -1, 1).astype(np.int8)
    return rows, columns, _sides(levels, rows, columns, direction)


def _sides(levels: np.ndarray, rows: np.ndarray, columns: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """Both sides' widths around pixels: each the steps that go on in the direction, 1 rising or -1 falling, plus one.

    Pixel n looks right from the step between n + 1 and n + 2, and left from that between n - 2 and n - 1.
    """
    height, width = levels.shape
    steps = np.zeros((height, width + 1), np.int8)  # a stop at either end of a row
    steps[:, 1:-1] = (levels[:, 1:] > levels[:, :-1]).view(np.int8) - (levels[:, 1:] < levels[:, :-1]).view(np.int8)
    flat = steps.ravel()
    changes = flat[1:] != flat[:-1]
    last = np.append(np.flatnonzero(changes), flat.size - 1)  # of each run of equal steps
    run = np.cumsum(changes, dtype=np.int32)  # number of the run that the next step belongs to
    begin = rows * (width + 1) + columns
    right, left = begin + 2, begin - 1
    steps_right = (last[run[right - 1]] - right + 1) * (flat[right] == direction)
    steps_left = (left - last[run[left - 1] - 1]) * (flat[left] == direction)
    widths: np.ndarray = np.minimum(steps_right + 1, MAX_SIDE_PX) + np.minimum(steps_left + 1, MAX_SIDE_PX)
    return widths


@functools.lru_cache(maxsize=1)
def _canny_kernels() -> tuple[np.ndarray, np.ndarray]:
    """MATLAB's Gaussian of 16 taps and its derivative."""
    offsets = np.arange(16) - 7.5
    smooth = np.exp(-(offsets**2) / (2 * CANNY_SIGMA**2))
    smooth /= smooth.sum()
    slope = np.gradient(smooth)
    slope /= slope[slope > 0].sum()
    return smooth, slope


def canny(image: np.ndarray) -> np.ndarray:
    """Canny edges of a uint8 image with MATLAB's smoothing and automatic thresholds, bool (H, W)."""
    smooth, slope = _canny_kernels()
    grey = image.astype(np.float32)
    options: dict[str, Any] = {"anchor": (7, 7), "borderType": cv2.BORDER_REPLICATE}
    across = cv2.sepFilter2D(grey, cv2.CV_32F, slope, smooth, **options)
    down = cv2.sepFilter2D(grey, cv2.CV_32F, smooth, slope, **options)
    magnitude = cv2.magnitude(across, down)
    peak = float(magnitude.max())
    if peak < 1e-3:  # flat
        return np.zeros(image.shape, bool)
    high = (_non_edge_bin(magnitude, peak) + 1) / CANNY_BINS * CANNY_SCALE
    scaled = [np.round(part * (CANNY_SCALE / peak)).astype(np.int16) for part in (across, down)]
    edges: np.ndarray = cv2.Canny(scaled[0], scaled[1], CANNY_LOW * high, high, L2gradient=True) > 0
    return edges


def _non_edge_bin(magnitude: np.ndarray, peak: float) -> int:
    """Of a histogram over 0 to the peak, the bin up to which more than the share of non-edges lies; 0 to 63."""
    ends = np.linspace(0, peak, CANNY_BINS + 1, dtype=np.float32)[1:-1]

    def below(end: np.float32) -> int:
        return int(np.count_nonzero(magnitude < end))

    return bisect.bisect_right(ends, CANNY_NON_EDGES * magnitude.size, key=below)  # counts six bins, not 64
