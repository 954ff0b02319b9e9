"""Whatever a picture's format, what is read is what its viewer sees."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from chdtf.errors import UserError
from chdtf.faces import detect_landmarks
from chdtf.sample.canvas import portrait
from disenttalk_ref.generate import picture
from disenttalk_ref.generate.framing import Detectors
from disenttalk_ref.generate.picture import frame_picture, is_picture, read_picture


@pytest.fixture(scope="module")
def detectors() -> Detectors:
    return Detectors.load()


@pytest.fixture(scope="module")
def image() -> Image.Image:
    """24x16 px, without fine detail, red to the right and blue downwards."""
    x, y = np.meshgrid(np.linspace(30, 220, 24), np.linspace(20, 200, 16))
    return Image.fromarray(np.stack([x, 0 * x + 90, y], axis=-1).astype(np.uint8))


def _exif(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


@pytest.mark.parametrize(
    ("name", "mode", "options", "tolerance"),
    [
        ("a.png", "RGB", {}, 0),
        ("a.webp", "RGB", {"lossless": True}, 0),
        ("a.jpg", "RGB", {"quality": 98, "subsampling": 0}, 6),
        ("cmyk.jpg", "CMYK", {"quality": 98}, 16),
        ("a.gif", "P", {}, 50),  # 216 colours
        ("wrong.mp4.png", "RGB", {}, 0),
    ],
)
def test_formats(
    image: Image.Image, tmp_path: Path, name: str, mode: str, options: dict[str, Any], tolerance: int
) -> None:
    path = tmp_path / name
    image.convert(mode).save(path, **options)
    assert is_picture(path)
    found = read_picture(path)
    assert found.dtype == np.uint8
    assert np.abs(found.astype(int) - np.asarray(image)).max() <= tolerance


@pytest.mark.parametrize(("orientation", "turn"), [(3, Image.Transpose.ROTATE_180), (6, Image.Transpose.ROTATE_90)])
def test_a_turned_picture_stands_upright(image: Image.Image, tmp_path: Path, orientation: int, turn: Any):
    image.transpose(turn).save(tmp_path / "turned.png", exif=_exif(orientation))
    assert np.array_equal(read_picture(tmp_path / "turned.png"), np.asarray(image))


def test_grey_and_deep_pictures(tmp_path: Path):
    values = np.arange(0, 250, 2, dtype=np.uint8).reshape(5, 25)
    Image.fromarray(values).save(tmp_path / "grey.png")
    Image.fromarray(values.astype(np.uint16) * 257).save(tmp_path / "deep.png")
    for name in ("grey.png", "deep.png"):
        assert np.array_equal(read_picture(tmp_path / name), np.repeat(values[..., None], 3, axis=-1)), name


def test_what_is_transparent_is_white(image: Image.Image, tmp_path: Path):
    clear = np.dstack([np.asarray(image), np.full((16, 24), 255, np.uint8)])
    clear[:, :10, 3] = 0
    Image.fromarray(clear).save(tmp_path / "clear.png")
    found = read_picture(tmp_path / "clear.png")
    assert (found[:, :10] == 255).all()
    assert np.array_equal(found[:, 10:], np.asarray(image)[:, 10:])


def test_the_first_frame_of_an_animation_is_taken_and_told(
    image: Image.Image, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    image.save(tmp_path / "a.webp", save_all=True, append_images=[Image.new("RGB", image.size)], lossless=True)
    assert np.array_equal(read_picture(tmp_path / "a.webp"), np.asarray(image))
    assert "an animation of 2 frames" in caplog.text


def test_damaged_files_and_other_files_are_refused(image: Image.Image, tmp_path: Path):
    for name in ("a.png", "a.jpg"):
        whole = tmp_path / name
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(whole)
        whole.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
        assert is_picture(whole)
        with pytest.raises(UserError, match=rf"{name}: not a picture that can be read"):
            read_picture(whole)
    text = tmp_path / "text.png"
    text.write_text("hello")
    assert not is_picture(text)
    with pytest.raises(UserError, match="not a picture"):
        read_picture(text)


def test_too_many_pixels_are_refused_unread(image: Image.Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    image.save(tmp_path / "a.png")
    monkeypatch.setattr(picture, "MAX_PIXELS", 24 * 16 - 1)
    with pytest.raises(UserError, match="24x16 px are too many"):
        read_picture(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50)  # Pillow's own limit is twice that
    assert is_picture(tmp_path / "a.png")
    with pytest.raises(UserError, match="too many pixels"):
        read_picture(tmp_path / "a.png")


def test_a_photo_that_is_not_square_keeps_its_proportions(detectors: Detectors):
    photo = portrait("grace_hopper")  # 512x600
    framed = frame_picture(photo, "photo", detectors=detectors)
    assert framed.shape == (256, 256, 3)
    before, after = detect_landmarks(photo), detect_landmarks(framed)
    assert before is not None
    assert after is not None

    def proportions(face: np.ndarray) -> float:
        return float(np.ptp(face[:468, 0]) / np.ptp(face[:468, 1]))

    assert proportions(after) == pytest.approx(proportions(before), rel=0.04)
    assert np.ptp(after[:468, 1]) > 100  # px: the face is well seen


def test_of_two_faces_the_larger_is_taken_and_told(detectors: Detectors, caplog: pytest.LogCaptureFixture):
    left, right = portrait("eileen_collins")[:256, 80:380], portrait("grace_hopper")[:512, 50:462]
    canvas = np.full((512, 712, 3), 200, np.uint8)
    canvas[:256, :300], canvas[:, 300:] = left, right
    framed = frame_picture(canvas, "two.png", detectors=detectors)
    assert "2 faces; the largest is taken" in caplog.text
    large, small = (frame_picture(np.ascontiguousarray(p), "one", detectors=detectors) for p in (right, left))
    assert 2 * np.abs(framed.astype(int) - large).mean() < np.abs(framed.astype(int) - small).mean()


def test_no_face_and_a_tiny_one_are_refused(detectors: Detectors):
    with pytest.raises(UserError, match=r"wall\.png: no face found in 90x80 px"):
        frame_picture(np.full((80, 90, 3), 127, np.uint8), "wall.png", detectors=detectors)
    tiny = np.array(Image.fromarray(portrait("eileen_collins")[:256, 96:352]).resize((48, 48)))
    with pytest.raises(UserError, match=r"tiny\.png"):
        frame_picture(tiny, "tiny.png", detectors=detectors)


def test_whole_takes_the_middle_without_looking(caplog: pytest.LogCaptureFixture):
    wide = np.zeros((256, 512, 3), np.uint8)
    wide[:, 128:384] = 200
    with caplog.at_level(logging.WARNING):
        assert (frame_picture(wide, "wide", "whole") == 200).all()
