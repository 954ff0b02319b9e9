"""Textures give whole pixels back to the bit, and shifted ones sharply; background stays where nothing covers it."""

import cv2
import numpy as np
import pytest
import skimage.data

from chdtf.warp.layers import Box
from chdtf.warp.texture import Background, Texture

IMAGE = np.ascontiguousarray(skimage.data.astronaut()[60:188, 160:288])
BOX = Box(8, 8, 120, 120)


def _places(shift: complex = 0) -> np.ndarray:
    y, x = np.mgrid[BOX.y0 : BOX.y1, BOX.x0 : BOX.x1]
    return (x + 1j * y + shift).astype(np.complex64)


def test_pixels_are_given_back_to_the_bit():
    assert np.array_equal(Texture(IMAGE, BOX).sample(_places()), BOX.of(IMAGE))


def test_half_a_pixel_is_as_sharp_as_cubic_interpolation():
    places = _places(0.5 + 0.5j).view(np.float32).reshape(112, 112, 2)[:-1, :-1]
    cubic = cv2.remap(IMAGE, places, None, cv2.INTER_CUBIC).astype(float)
    linear = cv2.remap(IMAGE, places, None, cv2.INTER_LINEAR).astype(float)
    drawn = Texture(IMAGE, BOX).sample(np.ascontiguousarray(_places(0.5 + 0.5j)[:-1, :-1])).astype(float)
    assert np.abs(drawn - cubic).mean() < 0.1 * np.abs(linear - cubic).mean()


def test_background_keeps_still_but_where_a_person_is_or_comes():
    person = np.zeros(IMAGE.shape[:2], np.uint8)
    person[50:90, 50:80] = 255
    background = Background(IMAGE, person)
    moved = Texture(IMAGE, BOX).sample(_places(-6))
    frame = moved.copy()
    background.keep_still(frame, _places(-6), BOX)
    still = np.ones(IMAGE.shape[:2], bool)
    still[40:100, 40:97] = False
    assert np.array_equal(frame[BOX.of(still)], BOX.of(IMAGE)[BOX.of(still)])
    assert np.array_equal(frame[50:80, 46:76], moved[50:80, 46:76])
    with pytest.raises(ValueError, match="person"):
        Background(IMAGE, person[1:])
