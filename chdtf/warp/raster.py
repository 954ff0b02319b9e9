"""Triangles -> which of them every pixel shows: all of them at once, in NumPy.

A pixel belongs to the triangle that holds its centre. Neighbours compute a shared edge from the same two points in the
same order, so that between them no pixel is missing and none is drawn twice.
"""

from dataclasses import dataclass

import numpy as np

_OFF_ROW = 2.0**-20  # corners that lie exactly on a row of pixels, where rounding would decide, lie above it


@dataclass(frozen=True)
class Runs:
    """Runs of pixels, from bottom to top layer: R rows of triangles, P pixels of a canvas of height x width."""

    triangle: np.ndarray  # (R,) which triangle a run belongs to
    row: np.ndarray  # (R,) y of the run
    run: np.ndarray  # (P,) which run a pixel belongs to
    pixel: np.ndarray  # (P,) y * width + x; the last of equal ones lies on top


def runs(points: np.ndarray, faces: np.ndarray, height: int, width: int) -> Runs:
    """The pixels of triangles `faces` (F, 3), later ones over earlier ones, with corners `points` float64 (N, 2)."""
    points = points - (0, _OFF_ROW)
    ys = points[:, 1][faces]
    order = np.argsort(ys, axis=1, kind="stable")
    top, middle, bottom = np.take_along_axis(faces, order, axis=1).T
    x0, y0 = points[top].T
    x1, y1 = points[middle].T
    x2, y2 = points[bottom].T
    first = np.clip(np.ceil(y0), 0, height).astype(np.int64)
    rows = np.clip(np.ceil(y2), 0, height).astype(np.int64) - first
    triangle = np.repeat(np.arange(len(faces)), rows)
    row = np.arange(len(triangle)) - np.repeat(np.cumsum(rows) - rows - first, rows)
    slope, start = _line(x0, y0, x2, y2)
    long = start[triangle] + row * slope[triangle]
    # both halves of the short side in one table: the upper ones, then the lower ones
    slope, start = np.hstack([_line(x0, y0, x1, y1), _line(x1, y1, x2, y2)])
    half = triangle + len(faces) * (row >= y1[triangle])
    short = start[half] + row * slope[half]
    ends = np.ceil(np.stack([np.minimum(long, short), np.maximum(long, short)]))
    low, high = np.minimum(np.maximum(ends, 0), width).astype(np.int64)
    length = high - low
    run = np.repeat(np.arange(len(triangle)), length)
    begin = row * width + low - (np.cumsum(length) - length)
    return Runs(triangle, row, run, np.repeat(begin, length) + np.arange(len(run)))


def _line(x0: np.ndarray, y0: np.ndarray, x1: np.ndarray, y1: np.ndarray) -> np.ndarray:
    """Slope and start, (2, F): along an edge, x = slope * y + start. Of no use for level ones, which no row crosses."""
    tall = y1 - y0
    slope = (x1 - x0) / np.where(tall > 0, tall, 1.0)
    return np.stack([slope, x0 - y0 * slope])


def painted(drawn: Runs, height: int, width: int) -> np.ndarray:
    """The topmost run of every pixel, int64 (height, width); R, the number of runs, where there is none."""
    canvas = np.full(height * width, len(drawn.row))
    canvas[drawn.pixel] = drawn.run
    return canvas.reshape(height, width)
