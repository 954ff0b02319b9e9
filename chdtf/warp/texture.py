"""The source image as a texture: sampled finely, soft where something hides something, still where nothing moves."""

import cv2
import numpy as np

from chdtf.warp.layers import Box, places

_FOLD_PX = 4.0  # neighbours whose sources lie further apart show the edge of something that hides something
_MARGIN_PX = 3  # about such an edge, for filters


class Texture:
    """A part of an image, sampled anywhere."""

    def __init__(self, image: np.ndarray, box: Box) -> None:
        """`image` uint8 (H, W, 3); `box` holds all that will be asked for, but for what lies outside the image."""
        self._corner = np.complex64(complex(box.x0, box.y0))
        part = box.of(image)
        size = 2 * part.shape[1] - 1, 2 * part.shape[0] - 1
        half = np.array([[0.5, 0, 0], [0, 0.5, 0]])
        # cubic once, then linear for every frame: as sharp as cubic for every frame, in a fifth of the time
        self._fine = cv2.warpAffine(
            part, half, size, flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE
        )

    def sample(self, maps: np.ndarray) -> np.ndarray:
        """The image at x + iy, complex64 (h, w): uint8 (h, w, 3). Beyond its border the border goes on."""
        wanted = maps - self._corner
        wanted *= 2
        drawn: np.ndarray = cv2.remap(
            self._fine, places(wanted), None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        _soften_folds(drawn, places(maps))
        return drawn


class Background:
    """What of an image is background, to be kept where it is while a head moves before it."""

    def __init__(self, image: np.ndarray, person: np.ndarray) -> None:
        """`image` uint8 (H, W, 3); `person` uint8 (H, W), 255 where it shows the person.

        Raises `ValueError` when they differ in size.
        """
        if person.shape != image.shape[:2] or person.dtype != np.uint8:
            raise ValueError(f"person must be uint8 {image.shape[:2]}, not {person.dtype} {person.shape}")
        self._image = image
        reach = max(image.shape[:2]) / 256
        size = 2 * round(3 * reach) + 1
        wide = cv2.dilate(person, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)))
        soft = cv2.GaussianBlur(wide, (0, 0), 2.0 * reach)
        self._share = cv2.LUT(soft, np.clip(255 - 4 * np.arange(256), 0, 255).astype(np.uint8))

    @property
    def surely(self) -> np.ndarray:
        """Where nothing but background is, bool (H, W)."""
        sure: np.ndarray = self._share == 255
        return sure

    def keep_still(self, drawn: np.ndarray, maps: np.ndarray, box: Box) -> None:
        """Put the source back into `drawn`, uint8 (h, w, 3) of `box`, where it and what was drawn are background."""
        moved = cv2.remap(self._share, places(maps), None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        share = cv2.multiply(moved, box.of(self._share), scale=1 / 255**2, dtype=cv2.CV_32F)
        cv2.blendLinear(drawn, np.ascontiguousarray(box.of(self._image)), 1 - share, share, dst=drawn)


def _soften_folds(image: np.ndarray, maps: np.ndarray) -> None:
    """Smooth the edges of what hides something behind it, where the source jumps from pixel to pixel; in place."""
    calm = np.full(maps.shape[:2], 255, np.uint8)
    limit = (_FOLD_PX, _FOLD_PX)
    calm[:, 1:] = cv2.inRange(cv2.absdiff(maps[:, 1:], maps[:, :-1]), (0, 0), limit)
    calm[1:] &= cv2.inRange(cv2.absdiff(maps[1:], maps[:-1]), (0, 0), limit)
    jump = cv2.bitwise_not(calm)
    x, y, width, height = cv2.boundingRect(jump)
    if not width:
        return
    box = Box.around(np.array([[x, y], [x + width, y + height]], float), _MARGIN_PX, *image.shape[:2])
    jump, part = box.of(jump), box.of(image)
    share = cv2.GaussianBlur(cv2.dilate(jump, np.ones((2, 2), np.uint8), anchor=(1, 1)).astype(np.float32), (0, 0), 0.7)
    share = np.minimum(share * np.float32(1 / 160), 1)
    part[:] = cv2.blendLinear(np.ascontiguousarray(part), cv2.GaussianBlur(part, (0, 0), 0.8), 1 - share, share)
