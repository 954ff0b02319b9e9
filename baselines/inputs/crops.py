"""Crops of a clip's frames, each in the convention of the methods that want it.

- `frame`: as they are, 256x256.
- `pcavs224`: 224x224, as PC-AVS aligns what PD-FGC reads (Hangz-nju-cuhk/Talking-Face_PC-AVS at 1e909a4,
  scripts/align_68.py; read, not run). Scale and rotation are one for the clip: the similarity that brings the clip's
  mean eyes and mouth closest to three standard points. The shift is one for each frame: it puts the frame's mouth on
  its standard point, with a fifth of the shift before it, so the crop follows the mouth. Bilinear, black outside.

Theirs takes face_alignment's 68 points, this MediaPipe's vertices in their place (`chdtf.morphable.ibug`). Where a
frame shows no face theirs gives up the clip; here its points lie between those of its neighbours in time.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from chdtf.morphable.ibug import IBUG_68
from chdtf.morphable.similarity import fit_similarity

if TYPE_CHECKING:
    from baselines.inputs.source import Source

CROPS = ("frame", "pcavs224")
SIZE_PX = 224
STANDARD = ((87.0, 59.0), (137.0, 59.0), (112.0, 120.0))  # eye on the viewer's left, the other eye, mouth
_KEPT = 0.2  # share of the shift before in a frame's shift
_EYE, _OTHER_EYE, _INNER_LIPS = slice(36, 42), slice(42, 48), slice(60, 68)


def cropped(source: "Source", name: str) -> np.ndarray:
    """All frames of a clip in a crop of `CROPS`: uint8 (T, h, w, 3) RGB.

    Raises `Unavailable` (`no_face`) when the crop needs a face and no frame shows one.
    """
    if name == "frame":
        return source.frames
    source.seen()
    return pcavs224(source.frames, source.landmarks)


def pcavs224(frames: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Frames uint8 (T, H, W, 3) of a clip with landmarks (T, 478, 3) px, NaN in some -> uint8 (T, 224, 224, 3)."""
    matrices = pcavs_matrices(three_points(landmarks))
    return np.stack([warp(frame, matrix) for frame, matrix in zip(frames, matrices, strict=True)])


def three_points(landmarks: np.ndarray) -> np.ndarray:
    """Centres of the eyes and of the inner lips, float64 (T, 3, 2) px as OpenCV counts them; gaps are filled in."""
    points = landmarks[:, list(IBUG_68), :2].astype(np.float64) - 0.5  # MediaPipe has pixel k's centre at k + 1/2
    three = np.stack([points[:, part].mean(1) for part in (_EYE, _OTHER_EYE, _INNER_LIPS)], axis=1)
    return filled(three.reshape(len(three), -1)).reshape(three.shape)


def filled(values: np.ndarray) -> np.ndarray:
    """Rows (T, K), NaN rows interpolated in time and at the ends repeated. One row at least is whole."""
    known = np.flatnonzero(~np.isnan(values).any(axis=1))
    times = np.arange(len(values))
    found: np.ndarray = np.column_stack([np.interp(times, known, column[known]) for column in values.T])
    return found


def pcavs_matrices(three: np.ndarray) -> np.ndarray:
    """Affine matrices from frame to crop, float64 (T, 2, 3), from `three_points` of one clip."""
    flat = np.zeros((2, 3, 3))
    flat[0, :, :2], flat[1, :, :2] = three.mean(axis=0), STANDARD
    found = fit_similarity(flat[:1], flat[1:], np.ones(3))
    linear = found.scale[0] * found.rotation[0, :2, :2]
    wanted = np.array(STANDARD[2]) - three[:, 2] @ linear.T  # the shift that puts a frame's mouth in its place
    matrices = np.empty((len(three), 2, 3))
    matrices[:, :, :2] = linear
    shift = wanted[0]
    for number, own in enumerate(wanted):
        shift = _KEPT * shift + (1 - _KEPT) * own
        matrices[number, :, 2] = shift
    return matrices


def warp(frame: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """One frame uint8 (H, W, 3) in the crop: uint8 (224, 224, 3)."""
    found: np.ndarray = cv2.warpAffine(frame, matrix, (SIZE_PX, SIZE_PX), flags=cv2.INTER_LINEAR, borderValue=0)
    return found


def write_picture(path: Path, picture: np.ndarray) -> None:
    """Write uint8 (H, W, 3) RGB by its suffix: .png without loss, .jpg at the highest quality."""
    quality = [cv2.IMWRITE_JPEG_QUALITY, 100] if path.suffix == ".jpg" else [cv2.IMWRITE_PNG_COMPRESSION, 1]
    if not cv2.imwrite(str(path), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), quality):
        raise OSError(f"{path}: cannot be written")
