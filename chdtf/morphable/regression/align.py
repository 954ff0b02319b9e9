"""The crop that Deep3DFaceRecon's network sees: five points of the face brought to five standard points.

Follows Deep3DFaceRecon_pytorch, util/preprocess.py (`POS`, `align_img`, `resize_n_crop_img`). Its points count pixels
by their centres and y upwards from the last row; MediaPipe's landmarks have pixel k's centre at k + 1/2, y down.
"""

import functools
from pathlib import Path

import numpy as np

from chdtf.errors import UserError
from chdtf.morphable.ibug import IBUG_68
from chdtf.schema import NUM_VERTICES

CROP_PX = 224
PX_PER_UNIT = 102.0  # of the standard points, in the crop
# The standard points are mp468's mean face, moved and scaled. These three numbers were fitted so that tracked faces
# are cropped as in published coefficients: `transform_params` of ten clips of StyleTalk's samples, 2,912 frames.
_UNIT = 0.861  # Deep3DFaceRecon's units in an outer eye corner distance
_ORIGIN = (0.0, 0.0142, -0.2621)  # of the crop, on mp468's mean face: x right, y up, z to the viewer
_AXES = (1.0, -1.0, -1.0)


def five_of(points68: np.ndarray) -> np.ndarray:
    """Eyes (mean of the corners), nose tip, corners of the mouth, right before left: (..., 68, D) -> (..., 5, D)."""
    eyes = [points68[..., corners, :].mean(-2) for corners in ([36, 39], [42, 45])]
    return np.stack([*eyes, *(points68[..., number, :] for number in (30, 48, 54))], axis=-2)


def five_points(landmarks: np.ndarray, height: int) -> np.ndarray:
    """The five points of tracked landmarks (T, L, 3) px, L >= 468, as `align` wants them: float64 (T, 5, 2).

    x from the left, y upwards from the centre of the last of `height` rows; NaN where there is no face.
    """
    if landmarks.ndim != 3 or landmarks.shape[1] < NUM_VERTICES:
        raise ValueError(f"landmarks are (T, 478, 3), not {landmarks.shape}")
    points = five_of(landmarks[:, list(IBUG_68), :2].astype(np.float64)) - 0.5
    points[..., 1] = height - 1 - points[..., 1]
    return points


@functools.lru_cache(maxsize=1)
def standard_points() -> np.ndarray:
    """The built-in standard points, float64 (5, 3): x right, y up, z to the viewer, Deep3DFaceRecon's units.

    Measured against the repository's own points on those ten clips: crops are 1.7 % smaller and 1.8 px higher or
    less, which brings the medians to the published ones (scale within 1.4 %, place within 1.4 px).
    """
    from chdtf.morphable.models import mp468

    mean = five_of(mp468.load(None).mean[list(IBUG_68)].astype(np.float64))
    points: np.ndarray = (mean * _AXES - _ORIGIN) * _UNIT
    return points


def read_standard_points(path: Path) -> np.ndarray:
    """The standard points in Deep3DFaceRecon's `similarity_Lm3D_all.mat`: float64 (5, 3). Raises `UserError`."""
    from chdtf.morphable.models.bfm_transfer import read_mat

    points = read_mat(path, {"lm": (68, 3)}, "Deep3DFaceRecon's similarity_Lm3D_all.mat")["lm"].astype(np.float64)
    if not np.isfinite(points).all():
        raise UserError(f"{path}: lm has values that are not finite")
    return five_of(points)


def align(points: np.ndarray, width: int, height: int, standard: np.ndarray | None = None) -> np.ndarray:
    """`transform_params` of frames, float32 (T, 5): w0, h0, s, t0, t1; NaN where a face is missing or has no size.

    Least squares of points = affine(standard): t is where the standard origin goes, px, y up; 102 / s is the mean
    length of the two rows of the linear part, so that s brings the face to 102 px a unit.

    Args:
        points: (T, 5, 2) as `five_points` gives them.
        width: of the frame, px.
        height: of the frame, px.
        standard: (5, 3), the built-in ones when None.

    """
    standard = standard_points() if standard is None else standard
    solve = np.linalg.pinv(np.column_stack([standard, np.ones(len(standard))]))  # (4, 5)
    found = solve @ points  # (T, 4, 2)
    length = np.linalg.norm(found[:, :3], axis=1).mean(axis=1)
    with np.errstate(divide="ignore"):
        scale = PX_PER_UNIT / length
    size = np.broadcast_to([float(width), float(height)], (len(points), 2))
    params = np.column_stack([size, scale, found[:, 3]]).astype(np.float32)
    params[~np.isfinite(params).all(axis=1)] = np.nan
    return params


def crop(image: np.ndarray, params: np.ndarray) -> np.ndarray:
    """The crop of one frame, uint8 (H, W, 3) RGB -> uint8 (224, 224, 3); black beyond the frame.

    The same pixels as resizing the whole frame by s with Pillow's bicubic filter and cutting 224 px out of it, at the
    cost of the crop alone. `params` (5,): one row of `align`.
    """
    from PIL import Image

    width, height = image.shape[1], image.shape[0]
    _, _, scale, x, y_up = (float(value) for value in params)
    size = int(width * scale), int(height * scale)
    corner = (
        int(size[0] / 2 - CROP_PX / 2 + (x - width / 2) * scale),
        int(size[1] / 2 - CROP_PX / 2 + (height / 2 - y_up) * scale),
    )
    out = np.zeros((CROP_PX, CROP_PX, 3), np.uint8)
    first = [max(start, 0) for start in corner]
    last = [min(start + CROP_PX, whole) for start, whole in zip(corner, size, strict=True)]
    if first[0] >= last[0] or first[1] >= last[1]:
        return out
    steps = width / size[0], height / size[1]
    left, top = (first[i] * steps[i] for i in (0, 1))
    right, bottom = (min(last[i] * steps[i], (width, height)[i]) for i in (0, 1))
    wanted = last[0] - first[0], last[1] - first[1]
    cut = Image.fromarray(image).resize(wanted, Image.Resampling.BICUBIC, box=(left, top, right, bottom))
    rows, columns = (slice(first[i] - corner[i], last[i] - corner[i]) for i in (1, 0))
    out[rows, columns] = np.asarray(cut)
    return out
