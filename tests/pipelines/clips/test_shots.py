"""Shots: planted borders are found to the frame, and nothing else is."""

import itertools

import av
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.clips.shots import LOOK_SIZE, Sensitivity, content, look, shots

WIDTH, HEIGHT = 160, 90


def scene(seed: int) -> np.ndarray:
    """A picture wider than the frame: soft coloured shapes, uint8 (90, 480, 3)."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(0, 255, (6, 24, 3)).astype(np.float32)
    return np.clip(cv2.resize(coarse, (480, HEIGHT), interpolation=cv2.INTER_CUBIC), 0, 255).astype(np.uint8)


def shot(seed: int, seconds: float, fps: float, pan_px_s: float = 0.0, noise: float = 2.0) -> list[np.ndarray]:
    """Somebody moves before a still or slowly panned background, with a camera's noise."""
    rng = np.random.default_rng(seed + 1000)
    wide = scene(seed)
    frames = []
    for i in range(round(seconds * fps)):
        left = int(pan_px_s * i / fps)
        image = wide[:, left : left + WIDTH].copy()
        x = 80 + round(12 * np.sin(2 * i / fps))
        cv2.ellipse(image, (x, 50), (18, 25), 0, 0, 360, (120, 150, 200), -1)
        frames.append(np.clip(image + rng.normal(0, noise, image.shape), 0, 255).astype(np.uint8))
    return frames


def borders(images: list[np.ndarray], fps: float = 25.0) -> list[int]:
    timed = [(i / fps, image) for i, image in enumerate(images)]
    told = list(shots(timed, lambda image: image, Sensitivity()))
    assert [time_s for time_s, _, _ in told] == [time_s for time_s, _ in timed], "every frame once, in order"
    return [i for i, (_, _, is_border) in enumerate(told) if is_border]


@pytest.mark.parametrize("fps", [12.0, 22.13, 25.0, 29.97, 50.0, 60.0])
def test_planted_cuts_are_found_to_the_frame_at_any_rate(fps: float) -> None:
    parts = [shot(seed, seconds, fps) for seed, seconds in enumerate((1.2, 0.5, 2.0, 0.3, 1.0))]
    starts = list(itertools.accumulate(len(part) for part in parts))[:-1]
    assert borders([image for part in parts for image in part], fps) == starts


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 40), st.integers(0, 100))
def test_a_cut_is_found_wherever_it_is_even_at_the_second_frame(at: int, seed: int) -> None:
    one, other = shot(seed, 2, 25), shot(seed + 200, 2, 25)
    assert borders(one[:at] + other[: 41 - at]) == [at]


def test_a_shot_of_one_frame_has_a_border() -> None:
    assert borders([scene(1)[:, :WIDTH]]) == []
    assert borders([]) == []


@pytest.mark.parametrize("length", [1, 2])
@pytest.mark.parametrize("fps", [25.0, 50.0])
def test_a_flash_is_no_cut(length: int, fps: float) -> None:
    images = shot(3, 2, fps)
    for i in range(20, 20 + length):
        images[i] = np.clip(images[i].astype(int) * 2 + 90, 0, 255).astype(np.uint8)
    assert borders(images, fps) == []


def test_a_cut_soon_after_a_flash_is_found() -> None:
    images = shot(3, 1, 25) + shot(4, 1, 25)
    images[18] = np.full_like(images[18], 250)
    assert borders(images) == [25]


@pytest.mark.parametrize("speed", [20.0, 60.0])
def test_a_slow_pan_is_no_cut(speed: float) -> None:
    """An eighth to three eighths of the picture's width in a second."""
    assert borders(shot(5, 3, 25, speed)) == []


def test_a_dissolve_is_no_border() -> None:
    """What the detector cannot do, stated: a soft change over half a second is not seen."""
    one, other = shot(6, 1, 25), shot(7, 1, 25)
    mix = [
        cv2.addWeighted(a, 1 - i / 12, b, i / 12, 0) for i, (a, b) in enumerate(zip(one[-12:], other[:12], strict=True))
    ]
    assert borders(one[:-12] + mix + other[12:]) == []


def test_a_jump_cut_before_a_still_camera_is_found() -> None:
    """The same background and person, elsewhere in the picture: little changes, but nothing else does."""
    before, after = shot(8, 1, 25, noise=0.5), shot(8, 3, 25, noise=0.5)[50:]
    for image in after:
        cv2.ellipse(image, (110, 60), (14, 18), 0, 0, 360, (90, 100, 140), -1)
    assert content(before[-1], after[0]) < Sensitivity().min_cut_content
    assert borders(before + after) == [25]


@pytest.mark.parametrize("pixels", ["yuv420p", "yuv420p10le", "yuv422p", "rgb24"])
def test_the_small_image_shows_the_frame(pixels: str) -> None:
    image = cv2.resize(scene(9)[:, :WIDTH], (640, 360), interpolation=cv2.INTER_CUBIC)
    frame = av.VideoFrame.from_ndarray(image, format="bgr24").reformat(format=pixels)
    small = look(frame).astype(float)
    assert small.shape == (LOOK_SIZE[1], LOOK_SIZE[0], 3)
    assert np.abs(small - cv2.resize(image, LOOK_SIZE, interpolation=cv2.INTER_AREA)).mean() < 12
