"""Pictures of any shape become the dataset's square about the face."""

import logging

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chdtf.errors import UserError
from disenttalk_ref.generate.framing import check_side, cut, face_square
from pipelines.clips.framing import Framing


@st.composite
def pictures(draw: st.DrawFn) -> tuple[np.ndarray, int, int]:
    width, height = draw(st.integers(64, 4000)), draw(st.integers(64, 4000))
    size = draw(st.floats(0.05, 1.2)) * min(width, height)
    x, y = draw(st.floats(0, width)), draw(st.floats(0, height))
    return np.array([[x - size / 2, y - size / 2, x + size / 2, y + size / 2]], np.float32), width, height


@given(pictures())
def test_a_cropped_picture_shows_what_a_clip_of_the_dataset_would(picture: tuple[np.ndarray, int, int]):
    boxes, width, height = picture
    assert face_square(boxes, width, height, "face") == Framing().crop(boxes, width, height)


@given(pictures(), st.sampled_from(["auto", "face", "whole"]))
def test_the_square_lies_in_the_picture(picture: tuple[np.ndarray, int, int], crop: str):
    boxes, width, height = picture
    x, y, side = face_square(boxes, width, height, crop)
    assert 0 <= x <= x + side <= width
    assert 0 <= y <= y + side <= height
    assert side > 0


@pytest.mark.parametrize(
    ("width", "face", "whole"), [(400, 140, True), (400, 139, False), (401, 140, False), (300, 140, False)]
)
def test_auto_keeps_a_square_picture_that_a_face_fills(width: int, face: int, whole: bool):
    boxes = np.array([[100, 100, 100 + face, 100 + face]], np.float32)
    assert (face_square(boxes, width, 400) == (0, 0, 400)) == whole


def test_an_image_of_the_right_size_passes_to_the_bit():
    image = np.random.default_rng(0).integers(0, 255, (256, 300, 3), np.uint8)
    assert np.array_equal(cut(image, (20, 0, 256)), image[:, 20:276])
    assert cut(image, (0, 0, 128)).shape == (256, 256, 3)


def test_small_squares_are_refused_or_told(caplog: pytest.LogCaptureFixture):
    with pytest.raises(UserError, match=r"a\.png: the square around the face has 63 px"):
        check_side(63, "a.png")
    with caplog.at_level(logging.WARNING):
        check_side(128, "a.png")
        assert not caplog.messages
        check_side(64, "a.png")
    assert "blurred" in caplog.text


def test_mistakes_of_the_caller():
    with pytest.raises(ValueError, match="crop 'middle'"):
        face_square(np.zeros((1, 4)), 9, 9, "middle")
    with pytest.raises(ValueError, match="no box"):
        face_square(np.zeros((0, 4)), 9, 9)
