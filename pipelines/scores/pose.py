"""Scores of a face's pose and size, from landmarks (T, 478, 3) in pixels of the 256 px clip, without NaN."""

import functools

import numpy as np

from chdtf.columns import Row
from chdtf.morphable.model import DEFAULT_MODEL, load_model

COLUMNS = ("yaw_median_deg", "yaw_max_deg", "pitch_median_deg", "pitch_max_deg", "face_size_px")
FOREHEAD, CHIN, RIGHT_EAR, LEFT_EAR = 10, 152, 234, 454  # mesh vertices; right and left are the subject's


def yaw_deg(landmarks: np.ndarray) -> np.ndarray:
    """Rough turn of the head, (T, 478, 3) px -> (T,) degrees: slope in depth of the line between the ears.

    0 when facing the camera, positive when the subject turns to its left (towards the right of the picture). Good to
    some 10 degrees, because the mesh's depth is a guess.
    """
    across = landmarks[:, LEFT_EAR] - landmarks[:, RIGHT_EAR]
    angle: np.ndarray = np.degrees(np.arctan2(across[:, 2], across[:, 0]))
    return angle


def pitch_deg(landmarks: np.ndarray) -> np.ndarray:
    """Rough inclination of the head, (T, 478, 3) px -> (T,) degrees: slope in depth of the line from brow to chin.

    0 for the mean face looking ahead, positive when the subject looks up. As rough as `yaw_deg`, and it falls short
    when the head is also turned far.
    """
    return _slope_deg(landmarks) - _neutral_slope_deg()


def _slope_deg(landmarks: np.ndarray) -> np.ndarray:
    down = landmarks[:, CHIN] - landmarks[:, FOREHEAD]
    # length in the picture, so that a head tilted to the shoulder is not taken for one that looks up
    slope: np.ndarray = np.degrees(np.arctan2(-down[:, 2], np.hypot(down[:, 0], down[:, 1])))
    return slope


@functools.lru_cache(maxsize=1)
def _neutral_slope_deg() -> float:
    return float(_slope_deg(load_model(DEFAULT_MODEL).mean[None])[0])


def face_size_px(landmarks: np.ndarray) -> float:
    """Median distance of forehead (10) and chin (152) in the picture, px."""
    return float(np.median(np.linalg.norm(landmarks[:, CHIN, :2] - landmarks[:, FOREHEAD, :2], axis=-1)))


def scores(landmarks: np.ndarray) -> Row:
    """The columns of this family; all None for a clip without a face. Landmarks may hold NaN frames."""
    found = landmarks[np.isfinite(landmarks[:, 0, 0])]
    if not len(found):
        return dict.fromkeys(COLUMNS)
    yaw, pitch = np.abs(yaw_deg(found)), np.abs(pitch_deg(found))
    values = (np.median(yaw), np.quantile(yaw, 0.95), np.median(pitch), np.quantile(pitch, 0.95), face_size_px(found))
    return dict(zip(COLUMNS, map(float, values), strict=True))
