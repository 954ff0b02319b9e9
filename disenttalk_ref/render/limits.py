"""How far a warped picture can be moved before it tears: beyond that, motion is held back smoothly."""

import numpy as np

from chdtf.morphable.coefficients import Coefficients
from chdtf.morphable.head_motion import head_motion, move
from chdtf.morphable.model import FaceModel

# Up to the first number motion is exact; beyond, it comes ever slower towards the second.
_TURN_RAD = (0.35, 0.52)  # from the source's pose: 20 and 30 degrees
_SHIFT = (0.6, 0.9)  # in units of the source's scale
_LOG_SCALE = (0.25, 0.4)
_EXPRESSION = (0.4, 0.55)  # largest displacement of a vertex from the neutral face, in model units (eye distances)


def soft_limit(size: np.ndarray, free: float, most: float) -> np.ndarray:
    """Sizes >= 0, the same up to `free`; beyond, growing ever slower towards `most`."""
    room = most - free
    held: np.ndarray = np.where(size <= free, size, free + room * np.tanh(np.maximum(size - free, 0) / room))
    return held


def within_reach(source: Coefficients, driving: Coefficients, model: FaceModel) -> Coefficients:
    """`driving` with frames that a warp of `source` cannot show brought nearer to it; other frames are unchanged.

    Poses may turn, shift and scale the head so far, expressions may move vertices so far.
    """
    motion = head_motion(driving, source).astype(np.float64)
    parts = ((slice(0, 3), _TURN_RAD), (slice(3, 5), _SHIFT), (slice(5, 6), _LOG_SCALE))
    held = motion.copy()
    for part, limits in parts:
        held[:, part] *= _shrink(np.linalg.norm(motion[:, part], axis=1), limits)[:, None]
    expression = driving.expression.astype(np.float64)
    moved = (expression @ model.landmark_expression.reshape(model.num_expression, -1)).reshape(len(expression), -1, 3)
    share = _shrink(np.linalg.norm(moved, axis=2).max(1), _EXPRESSION)
    far = driving.valid & ((held != motion).any(1) | (share < 1))
    if not far.any():
        return driving
    nearer = move(source, expression * share[:, None], held)
    fields = ("expression", "rotation", "translation", "scale")
    chosen = {
        name: np.where(
            far.reshape(-1, *[1] * (getattr(driving, name).ndim - 1)), getattr(nearer, name), getattr(driving, name)
        )
        for name in fields
    }
    return driving.replace(**chosen)


def _shrink(size: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    """Factors (T,) that bring sizes within soft limits: exactly 1 for those that are."""
    factor: np.ndarray = np.where(size > limits[0], soft_limit(size, *limits) / np.maximum(size, 1e-12), 1.0)
    return factor
