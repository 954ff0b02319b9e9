"""Edits of face vertices, (468, 3) px: open and close the mouth, close the eyes, smile, move the head."""

import numpy as np
from scipy.spatial.transform import Rotation

from chdtf.faces import INNER_LIPS, LEFT_EYE, OUTER_EYE_CORNERS, OUTER_LIPS, RIGHT_EYE
from chdtf.warp.mesh import halves, smoothstep
from chdtf.warp.mouth import LIP_RINGS

_CHIN, _NOSE_BASE = 152, 2
# Rings of lid vertices above each eye, from the contour outwards, paired with the contour's vertices between corners.
_LIDS = (
    (RIGHT_EYE, (247, 30, 29, 27, 28, 56, 190), (113, 225, 224, 223, 222, 221, 189)),
    (LEFT_EYE, (414, 286, 258, 257, 259, 260, 467), (413, 441, 442, 443, 444, 445, 342)),
)


def face_axes(vertices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors (2,) in the image: along the eyes towards the subject's left, and down the face."""
    right, left = vertices[list(OUTER_EYE_CORNERS), :2]
    across = (left - right) / np.linalg.norm(left - right)
    return across, np.array([-across[1], across[0]])


def open_mouth(vertices: np.ndarray, opening: float) -> np.ndarray:
    """Set the gap between the inner lips, in units of `chdtf.faces.mouth_opening`; 0 closes also an open source.

    The lower lip and the jaw do most of the way, the upper lip the rest; eyes stay. (468, 3) -> (468, 3).
    """
    out = np.array(vertices, np.float64)
    across, down = face_axes(out)
    unit = float(np.linalg.norm(np.subtract(*out[list(OUTER_EYE_CORNERS), :2])))
    upper, lower = halves(INNER_LIPS)
    middle = len(upper) // 2
    origin = (out[upper[0], :2] + out[upper[-1], :2]) / 2
    half_width = float(np.linalg.norm(out[upper[-1], :2] - out[upper[0], :2]) / 2)
    u = (out[:, :2] - origin) @ across / half_width  # -1 and 1 at the corners of the mouth
    v = (out[:, :2] - origin) @ down
    growth = _gap_growth(out, opening * unit, unit, across, down)
    # corners of pursed lips may lie inwards of their neighbours; interpolation wants columns in order
    column_u = np.maximum.accumulate((u[upper] + u[lower]) / 2)
    column = np.interp(u, column_u, growth, left=0.0, right=0.0)
    column[LIP_RINGS] = growth[1:-1]
    upper_line, lower_line = (np.interp(u, np.maximum.accumulate(u[half]), v[half]) for half in (upper, lower))
    below = v > (upper_line + lower_line) / 2
    below[LIP_RINGS[1]] = True
    below[LIP_RINGS[0]] = below[upper] = False
    share_up = 0.3 if growth[middle] < 0 else 0.08
    # lips keep their thickness: what follows the column at the lip turns into the jaw's own motion towards the chin
    lip = 1 - smoothstep((v - lower_line) / (0.62 * (v[_CHIN] - lower_line[_CHIN])))
    lip[LIP_RINGS[1]] = 1.0
    jaw = growth[middle] * (1 - smoothstep((np.abs(u) - 0.7) / 1.9))
    drop = (1 - share_up) * (lip * column + (1 - lip) * jaw)
    rise = -share_up * column * (1 - smoothstep((upper_line - v) / (0.9 * (upper_line - v)[_NOSE_BASE])))
    # the corners are drawn down and in by an opening jaw
    corner = max(growth[middle], 0.0) * np.exp(-(((np.abs(u) - 1) / 0.4) ** 2) - (v / (0.55 * half_width)) ** 2)
    out[:, :2] += (np.where(below, drop, rise) + 0.16 * corner)[:, None] * down
    out[:, :2] -= (0.11 * corner * np.sign(u))[:, None] * across
    return out.astype(np.float32)


def _gap_growth(points: np.ndarray, wanted_px: float, unit: float, across: np.ndarray, down: np.ndarray) -> np.ndarray:
    """By how much each column of the inner lips opens, px (11,), for a gap of `wanted_px` in the middle."""
    upper, lower = halves(INNER_LIPS)
    middle = len(upper) // 2
    between = points[lower, :2] - points[upper, :2]
    gap = between @ down
    wanted = float(np.sqrt(max(wanted_px**2 - float(between[middle] @ across) ** 2, 0.0)))
    place = (points[upper, :2] + points[lower, :2]) @ across / 2
    place = 2 * (place - place[0]) / (place[-1] - place[0]) - 1
    rounded = np.clip(1 - np.abs(place) ** 2.6, 0, 1) ** 0.72
    rounded /= rounded[middle]
    own = np.clip(gap, 0, None) / gap[middle] if gap[middle] > 0.02 * unit else rounded
    mix = float(smoothstep((wanted - gap[middle]) / (0.1 * unit)))
    growth: np.ndarray = wanted * (own * (1 - mix) + rounded * mix) - gap
    growth[[0, -1]] = 0.0
    return growth


def close_eyes(vertices: np.ndarray, closure: float) -> np.ndarray:
    """Close both eyes: 0 leaves them as they are, 1 brings the upper lids down to the lower. (468, 3) -> (468, 3)."""
    out = np.array(vertices, np.float64)
    for contour, upper_ring, crease_ring in _LIDS:
        upper, lower = (half[1:-1] for half in halves(contour))
        gap = out[lower] - out[upper]
        out[upper] += gap * closure
        out[list(upper_ring)] += gap * (0.42 * closure)
        out[list(crease_ring)] += gap * (0.07 * closure)
    return out.astype(np.float32)


def move_head(
    vertices: np.ndarray,
    yaw: float = 0.0,
    pitch: float = 0.0,
    roll: float = 0.0,
    shift_px: tuple[float, float] = (0.0, 0.0),
) -> np.ndarray:
    """Turn the head about a point behind the eyes, angles in radians, and shift it. (468, 3) -> (468, 3).

    Positive yaw turns the face to the right of the image, positive pitch down, positive roll clockwise in the image.
    """
    points = np.array(vertices, np.float64)
    right, left = points[list(OUTER_EYE_CORNERS)]
    unit = np.linalg.norm(left - right)
    pivot = (points[234] + points[454]) / 2 + (0, 0.25 * unit, 0)
    turn = Rotation.from_euler("yxz", [-yaw, pitch, roll]).as_matrix()
    moved: np.ndarray = (points - pivot) @ turn.T + pivot + (shift_px[0], shift_px[1], 0.0)
    return moved.astype(np.float32)


def smile(vertices: np.ndarray, amount: float) -> np.ndarray:
    """Pull the mouth corners out and up; 1 is a broad smile, negative values frown. (468, 3) -> (468, 3)."""
    out = np.array(vertices, np.float64)
    across, down = face_axes(out)
    corners = out[[OUTER_LIPS[0], OUTER_LIPS[10]], :2]
    half_width = np.linalg.norm(corners[1] - corners[0]) / 2
    origin = corners.mean(0)
    u = (out[:, :2] - origin) @ across / half_width
    v = (out[:, :2] - origin) @ down / half_width
    for side in (-1.0, 1.0):
        weight = np.exp(-(((u - side) / 0.75) ** 2) - (v / 0.8) ** 2)
        out[:, :2] += amount * half_width * weight[:, None] * (0.16 * side * across - 0.17 * down)
    return out.astype(np.float32)
