"""Piecewise affine warps: where each pixel of a moved triangle mesh comes from."""

import cv2
import numpy as np

from chdtf.warp.layers import Box
from chdtf.warp.raster import painted, runs

_SLIVER_PX = 0.35  # triangles less high than this are slivers
_STEP_PX = 4  # of the coarse map


def inverse_map(source: np.ndarray, target: np.ndarray, faces: np.ndarray, box: Box) -> np.ndarray:
    """Where the pixels of `box` come from when mesh points move source -> target: x + iy, complex64 (h, w).

    Points are (N, 2 or more), x and y first, pixel k having its centre at k. Triangles `faces` (F, 3) lie over each
    other in their order, the last on top; pixels that none covers come from where they are. `chdtf.warp.layers.places`
    brings the result into the form that `cv2.remap` takes. A millisecond for the face in 256x256.
    """
    x, y = np.arange(box.x0, box.x1), np.arange(box.y0, box.y1)
    maps: np.ndarray = (x + 1j * y[:, None]).astype(np.complex64)
    lay_over(maps, source, target, faces, box)
    return maps


def lay_over(maps: np.ndarray, source: np.ndarray, target: np.ndarray, faces: np.ndarray, box: Box) -> None:
    """`inverse_map` where triangles lie, in place; other pixels of `maps`, complex64 (h, w) of `box`, stay."""
    if not len(faces):
        return
    part = Box.around(target[faces.ravel(), :2], 0, box.y1, box.x1).within(box)
    start = target[:, :2] - (part.x0, part.y0)
    drawn, covered = _mapped(source[:, :2], start, faces, part.y1 - part.y0, part.x1 - part.x0)
    np.copyto(part.of(maps, box), drawn, where=covered)


def coarse_map(source: np.ndarray, target: np.ndarray, faces: np.ndarray, box: Box) -> np.ndarray:
    """`inverse_map` for triangles larger than a few pixels that move smoothly: one place in 16, linear in between."""
    step, margin = _STEP_PX, 1  # places lie in the middle of squares of step x step px, a square more on each side
    height, width = (-(-side // step) + 2 * margin for side in (box.y1 - box.y0, box.x1 - box.x0))
    first = np.array([box.x0, box.y0]) + (0.5 - margin) * step - 0.5
    drawn, covered = _mapped(source[:, :2], (target[:, :2] - first) / step, faces, height, width)
    x, y = first[0] + step * np.arange(width), first[1] + step * np.arange(height)
    places = np.where(covered, drawn, (x + 1j * y[:, None]).astype(np.complex64)).view(np.float32)
    fine = cv2.resize(places.reshape(height, width, 2), None, fx=step, fy=step, interpolation=cv2.INTER_LINEAR)
    edge = margin * step
    fine = np.ascontiguousarray(fine[edge : edge + box.y1 - box.y0, edge : edge + box.x1 - box.x0])
    found: np.ndarray = fine.view(np.complex64)[..., 0]
    return found


def _mapped(
    source: np.ndarray, target: np.ndarray, faces: np.ndarray, height: int, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """Where the pixels of a canvas come from, complex64 (height, width), and which of them triangles cover."""
    drawn = runs(target, faces, height, width)
    top = painted(drawn, height, width)
    # the source's place is slope * x + start along a run; the last entry serves pixels without one
    along, across, origin = _affine(target, source, faces)
    slope, start = np.zeros((2, len(drawn.row) + 1), np.complex64)
    slope[:-1] = along[drawn.triangle]
    start[:-1] = across[drawn.triangle] * drawn.row + origin[drawn.triangle]
    found = slope.take(top, mode="clip") * np.arange(width, dtype=np.float32) + start.take(top, mode="clip")
    return found, top < len(drawn.row)


def _affine(start: np.ndarray, end: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Affine maps x' + iy' = along * x + across * y + origin of triangles (F, 3) with corners (N, 2): (F,) each.

    Slivers get the regularised least-squares map: the true one would throw the pixels beside them far away.
    """
    p, q, r = (start[faces[:, k]].T for k in range(3))  # (2, F)
    u, v = q - p, r - p
    ends = end[:, 0] + 1j * end[:, 1]
    to_p, to_q, to_r = (ends[faces[:, k]] for k in range(3))
    to_u, to_v = to_q - to_p, to_r - to_p
    area = u[0] * v[1] - v[0] * u[1]
    longest = np.sqrt(np.maximum(np.maximum((u * u).sum(0), (v * v).sum(0)), ((u - v) ** 2).sum(0)))
    full = np.abs((to_u.conj() * to_v).imag)
    thin = np.abs(area) < np.maximum(np.minimum(_SLIVER_PX * longest, 0.6 * full), 1e-6)
    over = 1.0 / np.where(thin, 1.0, area)
    first, second = np.stack([v[1], -v[0]]) * over, np.stack([-u[1], u[0]]) * over  # rows of the inverse of [u v]
    first[:, thin], second[:, thin] = _pseudo_inverse(u[:, thin], v[:, thin])
    along, across = to_u * first + to_v * second
    fixed, to = np.where(thin, (p + q + r) / 3, p), np.where(thin, (to_p + to_q + to_r) / 3, to_p)
    return along, across, to - along * fixed[0] - across * fixed[1]


def _pseudo_inverse(u: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows of E^T (E E^T + s^2 I)^-1 for E = [u v], (2, F) each: the inverse of E, kept small."""
    square = _SLIVER_PX**2
    xx, yy, xy = u[0] ** 2 + v[0] ** 2 + square, u[1] ** 2 + v[1] ** 2 + square, u[0] * u[1] + v[0] * v[1]
    over = 1.0 / (xx * yy - xy * xy)
    rows = [np.stack([yy * w[0] - xy * w[1], xx * w[1] - xy * w[0]]) * over for w in (u, v)]
    return rows[0], rows[1]
