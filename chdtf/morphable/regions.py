"""Soft regions of the 468-vertex mesh, the alignment's rigid vertices, and the mirror map; all from a mean face.

A region's weight is 1 on its contours and falls smoothly to 0 on the vertices that anchor its neighbours. The lip
region holds the jaw and the lower cheeks, which move with the mouth; the eye region holds the lids and what lies
directly around them, not the brows.
"""

import numpy as np
from scipy.optimize import linear_sum_assignment

from chdtf.faces import INNER_LIPS, LEFT_EYE, OUTER_LIPS, RIGHT_EYE, RIGID
from chdtf.schema import NUM_VERTICES

LIPS = tuple(sorted({*INNER_LIPS, *OUTER_LIPS}))
EYES = tuple(sorted({*RIGHT_EYE, *LEFT_EYE}))
# Eye corners are left out: lids must be able to move without turning the head.
ALIGNMENT = tuple(v for v in RIGID if v not in EYES)
_BROWS = (46, 52, 53, 55, 63, 65, 66, 70, 105, 107, 276, 282, 283, 285, 293, 295, 296, 300, 334, 336)
_CHEEKS = (117, 346, 118, 347, 50, 280, 123, 352, 116, 345)
_JAW_HINGES = (93, 323, 132, 361)
_SMALLEST_WEIGHT = 0.05
_ASYMMETRY = 1e-3  # model units
# The lids' surroundings end at this distance from the eye contours, in outer eye corner distances.
_EYE_REACH, _EYE_FADE = 0.25, 0.2


def _smoothstep(x: np.ndarray) -> np.ndarray:
    x = np.clip(x, 0.0, 1.0)
    smooth: np.ndarray = x * x * (3 - 2 * x)
    return smooth


def _distance(mean: np.ndarray, vertices: tuple[int, ...]) -> np.ndarray:
    """Distance in x and y of every vertex to the nearest of `vertices`: (468, 3) -> (468,)."""
    offsets = mean[:, None, :2] - mean[None, list(vertices), :2]
    nearest: np.ndarray = np.linalg.norm(offsets, axis=-1).min(axis=1)
    return nearest


def region_weights(mean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights of the lip and of the eye region in [0, 1], float64 (468,) each; no vertex has both.

    `mean` is a face (468, 3) in model units (outer eye corner distance 1). Vertices of `ALIGNMENT` weigh 0.
    """
    to_lips, to_eyes = _distance(mean, LIPS), _distance(mean, EYES)
    lip_rest = _distance(mean, (*ALIGNMENT, *EYES, *_CHEEKS, *_JAW_HINGES))
    eye_rest = _distance(mean, (*ALIGNMENT, *LIPS, *_CHEEKS, *_BROWS))
    lip = _smoothstep(lip_rest / (lip_rest + to_lips))
    eye = _smoothstep(eye_rest / (eye_rest + to_eyes)) * _smoothstep((_EYE_REACH - to_eyes) / _EYE_FADE)
    lip[(lip < _SMALLEST_WEIGHT) | (to_eyes < to_lips)] = 0
    eye[(eye < _SMALLEST_WEIGHT) | (to_lips < to_eyes)] = 0
    return lip, eye


def alignment_weights() -> np.ndarray:
    """1 on the vertices that expressions move little and that lie in neither region, else 0: float64 (468,)."""
    weights = np.zeros(NUM_VERTICES)
    weights[list(ALIGNMENT)] = 1.0
    return weights


def fit_weights() -> np.ndarray:
    """Weights of the least squares, (468,): lip and eye contours count four times, as openings are read from them."""
    weights = np.ones(NUM_VERTICES)
    weights[[*LIPS, *EYES]] = 4.0
    return weights


def mirror_map(face: np.ndarray) -> np.ndarray:
    """Which vertex is the mirror image of which: int (468,) with m[m[v]] = v.

    `face` (468, 3) is a face that is mirror symmetric in x, as a model's mean is. Raises `ValueError` if it is not.
    """
    flipped = face * (-1.0, 1.0, 1.0)
    distance = np.linalg.norm(flipped[:, None] - face[None], axis=-1)
    partner: np.ndarray = linear_sum_assignment(distance)[1]
    if distance[np.arange(len(face)), partner].max() > _ASYMMETRY or not np.array_equal(
        partner[partner], np.arange(len(face))
    ):
        raise ValueError("the face is not mirror symmetric in x")
    return partner
