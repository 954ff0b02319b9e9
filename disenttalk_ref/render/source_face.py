"""The face of a source image, as every renderer finds it."""

import numpy as np

from chdtf.errors import UserError
from chdtf.faces import detect_landmarks
from chdtf.media import resize
from chdtf.schema import FRAME_SIZE_PX


def find_face(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A source image, uint8 (H, W, 3) RGB, scaled to 256x256, and its landmarks, float32 (478, 3) px of that.

    Raises `UserError` when MediaPipe finds no face in it.
    """
    height, width = image.shape[:2]
    if (height, width) != (FRAME_SIZE_PX, FRAME_SIZE_PX):
        image = resize(image, FRAME_SIZE_PX)
    landmarks = detect_landmarks(image)
    if landmarks is None:
        raise UserError(
            f"no face found in the source image ({width}x{height} px); "
            "give a square crop in which one face, seen from the front, fills a third or more of the height"
        )
    return image, landmarks
