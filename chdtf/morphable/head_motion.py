"""Head motion: how the head of a clip moves about a pose of reference, free of who it is and where it stands.

Six numbers a frame: rotation vector (3, radians, axes of `coefficients`), shift in x and y (2, in units of the
reference's scale, so outer eye distances), and the natural logarithm of the change of scale (1).
"""

import numpy as np
from scipy.spatial.transform import Rotation

from chdtf.morphable.coefficients import Coefficients

NUM_POSE = 6
MIRROR_SIGN = np.array([1, -1, -1, -1, 1, 1], np.float32)  # head motion of the mirrored picture, factor by factor


def mean_pose(coefficients: Coefficients) -> Coefficients:
    """The mean pose of the valid frames, T = 1, expression 0: the reference that a clip moves about.

    Raises `ValueError` when no frame is valid.
    """
    valid = coefficients.valid
    if not valid.any():
        raise ValueError("no frame is valid: there is no mean pose")
    return Coefficients(
        identity=coefficients.identity,
        expression=np.zeros((1, coefficients.expression.shape[1]), np.float32),
        rotation=Rotation.from_rotvec(coefficients.rotation[valid].astype(np.float64)).mean().as_rotvec()[None],
        translation=coefficients.translation[valid].mean(0, keepdims=True),
        scale=np.exp(np.log(coefficients.scale[valid]).mean(keepdims=True)),
        valid=np.ones(1, bool),
    )


def head_motion(coefficients: Coefficients, reference: Coefficients) -> np.ndarray:
    """Motion of every frame about the first frame of `reference`: float32 (T, 6); 0 in frames that are not valid."""
    base = Rotation.from_rotvec(reference.rotation[0].astype(np.float64))
    turned = Rotation.from_rotvec(coefficients.rotation.astype(np.float64)) * base.inv()
    moved = np.zeros((coefficients.num_frames, NUM_POSE), np.float32)
    moved[:, :3] = turned.as_rotvec()
    moved[:, 3:5] = (coefficients.translation - reference.translation[:1])[:, :2] / reference.scale[0]
    moved[:, 5] = np.log(np.where(coefficients.valid, coefficients.scale, 1) / reference.scale[0])
    moved[~coefficients.valid] = 0
    return moved


def move(source: Coefficients, expression: np.ndarray, motion: np.ndarray | None = None) -> Coefficients:
    """The face of `source` (T = 1) with another expression (T, K), its head moved by `motion` (T, 6) from its own pose.

    The inverse of `head_motion` but for depth, which stays the source's. Without `motion` the head keeps still.
    """
    frames = len(expression)
    moved = np.zeros((frames, NUM_POSE)) if motion is None else np.asarray(motion, np.float64)
    base = Rotation.from_rotvec(source.rotation[0].astype(np.float64))
    shift = np.column_stack([moved[:, 3:5], np.zeros(frames)]) * source.scale[0]
    return Coefficients(
        identity=source.identity,
        expression=np.asarray(expression, np.float32),
        rotation=(Rotation.from_rotvec(moved[:, :3]) * base).as_rotvec().reshape(frames, 3),
        translation=source.translation[:1] + shift,
        scale=source.scale[0] * np.exp(moved[:, 5]),
        valid=np.ones(frames, bool),
    )
