"""Where the face is in a picture, and the square around it that becomes the 256x256 frame.

The square is the dataset's (`pipelines.clips.framing`, after the first-order model's preprocessing), so that a source
looks like what the model and its renderers were made with. Boxes are x0, y0, x1, y1 in px, from the brows to the chin.
"""

import logging
from dataclasses import dataclass

import cv2
import numpy as np

from chdtf.errors import UserError
from chdtf.faces import FaceDetector
from chdtf.media import fit_size, resize
from chdtf.schema import FRAME_SIZE_PX

CROPS = ("auto", "face", "whole")
Square = tuple[int, int, int]  # x0, y0, side in px
_INCREASE, _ABOVE, _BELOW, _BESIDE = 0.1, 0.35, 0.165, 0.1  # pipelines.clips.framing.Framing
_FRAMED = 0.35  # a square picture whose face is at least so tall is framed already
_DETECTION_PX = 1024  # longest side that the detectors are shown; they scale to 256 px and less
_LEAST_SIDE_PX = 64  # a smaller square has no eyes or lips to speak of
_BLURRED_SIDE_PX = 128

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Detectors:
    """MediaPipe's detectors for faces near and far; made once, used for all frames of a source."""

    far: FaceDetector
    near: FaceDetector

    @classmethod
    def load(cls) -> "Detectors":
        """Both of them."""
        return cls(FaceDetector(full_range=True), FaceDetector(full_range=False))

    def find(self, image: np.ndarray) -> np.ndarray:
        """Boxes of all faces of uint8 (H, W, 3) RGB, the tallest first: float32 (N, 4) px."""
        height, width = image.shape[:2]
        small = fit_size(width, height, _DETECTION_PX)
        shown = image if small is None else cv2.resize(image, small, interpolation=cv2.INTER_AREA)
        boxes = self.far.detect(shown)
        if not len(boxes):  # a face that fills the picture
            boxes = self.near.detect(shown)
        boxes = boxes[:, :4] * np.array([width, height, width, height], np.float32)
        ordered: np.ndarray = boxes[np.argsort(boxes[:, 1] - boxes[:, 3], kind="stable")]
        return ordered


def face_square(boxes: np.ndarray, width: int, height: int, crop: str = "auto") -> Square:
    """The square that frames a face, given its boxes (N, 4) px in one picture or in frames of a video.

    `auto`: a square picture whose face is at least 35 % of its height is used whole, any other is cropped; `face`:
    always cropped; `whole`: the largest square about the middle. A square that leaves the picture is shifted into it,
    one that is larger becomes the picture's short side.

    Raises `ValueError` for another word, or when no box is given and one is needed.
    """
    if crop not in CROPS:
        raise ValueError(f"crop {crop!r} is none of {CROPS}")
    short = min(width, height)
    if crop == "whole":
        return (width - short) // 2, (height - short) // 2, short
    if not len(boxes):
        raise ValueError("no box of a face is given")
    size = boxes[:, 3] - boxes[:, 1]
    if crop == "auto" and width == height and float(np.median(size)) >= _FRAMED * height:
        return 0, 0, short
    heads = boxes + size[:, None] * np.array([-_BESIDE, -_ABOVE, _BESIDE, _BELOW])
    low, high = heads[:, :2].min(axis=0), heads[:, 2:].max(axis=0)
    half = (0.5 + _INCREASE) * float((high - low).max())
    x, y = (float(value) for value in (low + high) / 2)
    (x0, x1), (y0, y1) = (x - half, x + half), (y - half, y + half)
    side = min(round(x1 - x0), short)
    left = min(max(round((x0 + x1 - side) / 2), 0), width - side)
    top = min(max(round((y0 + y1 - side) / 2), 0), height - side)
    return left, top, side


def check_side(side: int, name: str) -> None:
    """Refuse a square too small for a face of any use. Raises `UserError`."""
    if side < _LEAST_SIDE_PX:
        raise UserError(
            f"{name}: the square around the face has {side} px; a video of {FRAME_SIZE_PX} px needs "
            f"{_LEAST_SIDE_PX} or more: give a larger picture"
        )
    if side < _BLURRED_SIDE_PX:
        log.warning("%s: the square around the face has %d px; the video will be blurred", name, side)


def cut(image: np.ndarray, square: Square) -> np.ndarray:
    """A square of an image, scaled: uint8 (256, 256, 3); an image of that very size passes unchanged."""
    x0, y0, side = square
    part = image[y0 : y0 + side, x0 : x0 + side]
    return np.ascontiguousarray(part) if side == FRAME_SIZE_PX else resize(part, FRAME_SIZE_PX)
