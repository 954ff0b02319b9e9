"""Edits of face vertices, (468, 3) px: open and close the mouth, close the eyes, smile, move the head."""

import numpy as np
from scipy.spatial.transform import Rotation

from chdtf.faces import INNER_LIPS, LEFT_EYE, OUTER_EYE_CORNERS, OUTER_LIPS, RIGHT_EYE
from chdtf.warp_mesh import halves, smoothstep

_CHIN, _NOSE_BASE, _BROW_RINGS = 152, 2, ()
# Rings of lid vertices around each eye, from the contour outwards, paired with the inner vertices of the contour.
_LIDS = (
    (RIGHT_EYE, (247, 30, 29, 27, 28, 56, 190), (113, 225, 224, 223, 222, 221, 189), (25, 110, 24, 23, 22, 26, 112)),
    (
        LEFT_EYE,
        (414, 286, 258, 257, 259, 260, 467),
        (413, 441, 442, 443, 444, 445, 342),
        (341, 256, 252, 253, 254, 339, 255),
    ),
)


def face_axes(vertices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors (2,) in the image: along the eyes towards the subject's left, and down the face."""
    right, left = vertices[list(OUTER_EYE_CORNERS), :2]
    across = (left - right) / np.linalg.norm(left - right)
    return across, np.array([-across[1], across[0]])


def open_mouth(vertices: np.ndarray, opening: float) -> np.ndarray:
    """Set the gap between the inner lips, in units of `chdtf.faces.mouth_opening`; 0 closes also an open source.

    The lower lip and the jaw do most of the way, the upper lip the rest; corners and eyes stay. (468, 3) -> (468, 3).
    """
    out = np.array(vertices, np.float64)
    across, down = face_axes(out)
    right, left = out[list(OUTER_EYE_CORNERS), :2]
    unit = float(np.linalg.norm(left - right))
    upper, lower = halves(INNER_LIPS)
    origin = (out[upper[0], :2] + out[upper[-1], :2]) / 2
    half_width = np.linalg.norm(out[upper[-1], :2] - out[upper[0], :2]) / 2
    u = (out[:, :2] - origin) @ across / half_width
    v = (out[:, :2] - origin) @ down
    gaps = (out[lower, :2] - out[upper, :2]) @ down
    middle = len(upper) // 2
    sideways = (out[lower[middle], :2] - out[upper[middle], :2]) @ across
    wanted = np.sqrt(max((opening * unit) ** 2 - sideways**2, 0.0))
    lip_u = (u[upper] + u[lower]) / 2
    profile = np.clip(1 - np.abs(lip_u / np.abs(lip_u).max()) ** 2.4, 0, 1)
    profile /= profile[middle]
    shape = np.where(gaps[middle] > 0.02 * unit, gaps / max(gaps[middle], 1e-6), profile)
    blend = float(smoothstep((wanted - gaps[middle]) / (0.1 * unit)))
    new = wanted * (np.clip(shape, 0, None) * (1 - blend) + profile * blend)
    new[[0, -1]] = gaps[[0, -1]]
    growth = new - gaps
    order = np.argsort(lip_u)
    share_up = 0.3 if growth[middle] < 0 else 0.1
    column = np.interp(u, lip_u[order], growth[order], left=0.0, right=0.0)
    line_upper = np.interp(u, u[upper][np.argsort(u[upper])], v[upper][np.argsort(u[upper])])
    line_lower = np.interp(u, u[lower][np.argsort(u[lower])], v[lower][np.argsort(u[lower])])
    line = (line_upper + line_lower) / 2
    below = v > line
    below[lower[1:-1]], below[upper] = True, False
    below[_outer_lips(lower=True)], below[_outer_lips(lower=False)] = True, False
    chin = v[_CHIN] - line[_CHIN]
    nose = line[_NOSE_BASE] - v[_NOSE_BASE]
    jaw_drop = growth[middle] * (1 - share_up)
    reach = np.clip((v - line_lower) / chin, 0, None)
    jaw = jaw_drop * np.exp(-((np.abs(u) / 2.1) ** 3)) * smoothstep(np.clip(v - line_lower, 0, None) / (0.8 * chin))
    near_lip = 1 - smoothstep(reach / 0.75)
    lower_move = column * (1 - share_up) * near_lip + jaw * (1 - near_lip * (np.abs(u) < 1))
    upper_move = -column * share_up * (1 - smoothstep((line_upper - v) / (0.9 * nose)))
    out[:, :2] += np.where(below, lower_move, upper_move)[:, None] * down
    return out.astype(np.float32)


def close_eyes(vertices: np.ndarray, closure: float) -> np.ndarray:
    """Close both eyes: 0 leaves them as they are, 1 makes the lids meet near the lower lid. (468, 3) -> (468, 3)."""
    out = np.array(vertices, np.float64)
    for contour, upper_ring, crease_ring, lower_ring in _LIDS:
        upper, lower = (half[1:-1] for half in halves(contour))
        gap = out[lower] - out[upper]
        out[upper] += gap * (0.86 * closure)
        out[lower] -= gap * (0.14 * closure)
        out[list(upper_ring)] += gap * (0.86 * 0.42 * closure)
        out[list(crease_ring)] += gap * (0.86 * 0.1 * closure)
        out[list(lower_ring)] -= gap * (0.14 * 0.4 * closure)
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
    turn = Rotation.from_euler("yxz", [-yaw, -pitch, roll]).as_matrix()
    moved = (points - pivot) @ turn.T + pivot + (shift_px[0], shift_px[1], 0.0)
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


def _outer_lips(lower: bool) -> np.ndarray:
    return halves(OUTER_LIPS)[int(lower)][1:-1]
