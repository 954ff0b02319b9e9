"""Head rotations: Deep3DFaceRecon's three angles and their matrices; a fit's rotation vectors in degrees for people.

R = Rz(roll) Ry(yaw) Rx(pitch) on column vectors, x right, y up, z to the viewer: models/bfm.py, `compute_rotation`,
whose transposed result multiplies row vectors from the right.
"""

import numpy as np
from scipy.spatial.transform import Rotation

_LOCKED = 1e-7  # cosine of yaw below which pitch and roll turn about the same axis


def to_matrix(angle: np.ndarray) -> np.ndarray:
    """Angles (..., 3) rad, pitch yaw roll -> rotation matrices (..., 3, 3), float64."""
    angle = np.asarray(angle, np.float64)
    (cx, cy, cz), (sx, sy, sz) = np.moveaxis(np.cos(angle), -1, 0), np.moveaxis(np.sin(angle), -1, 0)
    rows = [
        [cz * cy, cz * sy * sx - sz * cx, cz * sy * cx + sz * sx],
        [sz * cy, sz * sy * sx + cz * cx, sz * sy * cx - cz * sx],
        [-sy, cy * sx, cy * cx],
    ]
    matrix: np.ndarray = np.moveaxis(np.array(rows), (0, 1), (-2, -1))
    return matrix


def to_angle(matrix: np.ndarray, near: np.ndarray | None = None) -> np.ndarray:
    """Rotation matrices (T, 3, 3) -> angles (T, 3) rad, of all that mean the same those nearest to `near` (T, 3).

    Without `near` yaw lies in [-pi/2, pi/2], the others in (-pi, pi]. At a yaw of +-pi/2, a profile, only a sum of
    pitch and roll is defined: roll is then taken from `near` (0 without).
    """
    cosine = np.hypot(matrix[:, 0, 0], matrix[:, 1, 0])
    yaw = np.arctan2(-matrix[:, 2, 0], cosine)
    locked = cosine < _LOCKED
    roll = np.arctan2(matrix[:, 1, 0], matrix[:, 0, 0])
    pitch = np.arctan2(matrix[:, 2, 1], matrix[:, 2, 2])
    roll = np.where(locked, 0 if near is None else near[:, 2], roll)
    # what is left when roll and yaw are undone is Rx(pitch)
    cz, sz = np.cos(roll), np.sin(roll)
    left = np.arctan2(sz * matrix[:, 0, 2] - cz * matrix[:, 1, 2], cz * matrix[:, 1, 1] - sz * matrix[:, 0, 1])
    angle: np.ndarray = np.stack([np.where(locked, left, pitch), yaw, roll], axis=1)
    if near is None:
        return angle
    other = np.stack([angle[:, 0] + np.pi, np.pi - angle[:, 1], angle[:, 2] + np.pi], axis=1)
    first, second = _wound(angle, near), _wound(other, near)
    is_first = np.abs(first - near).sum(1) <= np.abs(second - near).sum(1)
    nearest: np.ndarray = np.where((is_first | locked)[:, None], first, second)
    return nearest


def _wound(angle: np.ndarray, near: np.ndarray) -> np.ndarray:
    """Angles moved by whole turns to within half a turn of `near`."""
    wound: np.ndarray = angle + 2 * np.pi * np.round((near - angle) / (2 * np.pi))
    return wound


def euler_deg(rotation: np.ndarray) -> np.ndarray:
    """Pitch, yaw and roll in degrees (T, 3) of rotation vectors (T, 3): R = R_y(yaw) R_x(pitch) R_z(roll).

    Signs as in `chdtf.morphable.coefficients`: the head bows, the nose turns to the left of the picture, the head tilts
    clockwise.
    """
    yaw, pitch, roll = Rotation.from_rotvec(rotation.astype(np.float64)).as_euler("YXZ", degrees=True).T
    return np.stack([pitch, yaw, roll], axis=1)
