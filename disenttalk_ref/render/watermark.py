"""What says that a video is synthetic: a tag in its file, and a visible mark in every frame."""

import functools
from collections.abc import Iterable, Iterator

import cv2
import numpy as np

METADATA = {"comment": "synthetic: DisentTalk reference"}  # of every video file that the model makes
TEXT = "synthetic"
_HEIGHT = 1 / 26  # of the letters' box, as a share of the frame's height
_INK, _SHADE = 0.62, 0.45  # opacity of the white letters, and of the dark around them


def draw(frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Frames, uint8 (H, W, 3) RGB, with "synthetic" in small letters in the lower left corner: new arrays.

    White on a dark outline, so that it reads on any ground; the rest of the frame is unchanged to the bit. Frames too
    small for legible letters (below 64 px) get the largest mark that fits.
    """
    for frame in frames:
        ink, shade = _mark(*frame.shape[:2])
        marked = frame.copy()
        rows, columns = ink.shape[:2]
        part = marked[marked.shape[0] - rows :, :columns]
        dark = part * (1 - shade)
        part[:] = np.rint(dark + (255 - dark) * ink).astype(np.uint8)
        yield marked


@functools.lru_cache(maxsize=4)
def _mark(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Opacity of letters and of their outline, float32 (h, w, 1) each, for the lower left corner of a frame."""
    font, times = cv2.FONT_HERSHEY_SIMPLEX, 4  # drawn large, then reduced: smooth at any size
    (wide, tall), below = cv2.getTextSize(TEXT, font, 1.0, 2)
    scale = min(max(_HEIGHT * height, 7.0) / tall, 0.9 * width / wide)
    margin = max(2.0, 0.02 * height)
    size = round(wide * scale + 2 * margin), round((tall + below) * scale + 2 * margin)
    size = min(size[0], width), min(size[1], height)
    canvas = np.zeros((size[1] * times, size[0] * times), np.uint8)
    at = round(margin * times), round((margin + tall * scale) * times)
    cv2.putText(canvas, TEXT, at, font, scale * times, 255, max(1, round(2.0 * scale * times)), cv2.LINE_AA)
    around = cv2.dilate(canvas, np.ones((times + 3, times + 3), np.uint8))
    around = cv2.GaussianBlur(around, (0, 0), 0.6 * times)
    ink, shade = (
        cv2.resize(layer, size, interpolation=cv2.INTER_AREA).astype(np.float32)[..., None] / 255
        for layer in (canvas, around)
    )
    return _INK * ink, _SHADE * shade
