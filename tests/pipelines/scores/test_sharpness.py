"""Sharpness falls with blur, and does not depend on light, contrast or what surrounds the face."""

import cv2
import numpy as np
import pytest

from pipelines.scores.sharpness import face_sharpness, sharpness


@pytest.fixture(scope="module")
def portrait() -> tuple[np.ndarray, np.ndarray]:
    """A photograph at 256 px and an outline of its face: (256, 256, 3), (478, 3)."""
    from skimage import data

    image = cv2.resize(data.astronaut()[0:256, 96:352], (256, 256))
    angle = np.linspace(0, 2 * np.pi, 478)
    outline = np.stack([128 + 45 * np.cos(angle), 110 + 60 * np.sin(angle), 0 * angle], axis=-1)
    return image, outline.astype(np.float32)


def value(image: np.ndarray, landmarks: np.ndarray) -> float:
    found = face_sharpness(image, landmarks)
    assert found is not None
    return found


def test_more_blur_is_less_sharp(portrait: tuple[np.ndarray, np.ndarray]) -> None:
    image, landmarks = portrait
    values = [value(image, landmarks)]
    values += [value(cv2.GaussianBlur(image, (0, 0), sigma), landmarks) for sigma in (0.5, 1, 2, 4)]
    assert values == sorted(values, reverse=True)
    assert values[0] > 0.04
    assert values[3] < 0.02


def test_enlarging_a_small_picture_makes_no_sharp_one(portrait: tuple[np.ndarray, np.ndarray]) -> None:
    image, landmarks = portrait
    values = [value(image, landmarks)]
    for size in (128, 64, 32):
        small = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)
        values.append(value(cv2.resize(small, (256, 256), interpolation=cv2.INTER_CUBIC), landmarks))
    assert values == sorted(values, reverse=True)
    assert values[2] < values[0] / 4


def test_light_contrast_and_background_do_not_count(portrait: tuple[np.ndarray, np.ndarray]) -> None:
    image, landmarks = portrait
    known = value(image, landmarks)
    assert value((image * 0.5 + 60).astype(np.uint8), landmarks) == pytest.approx(known, rel=0.15)
    noisy = image.copy()
    noisy[:40] = np.random.default_rng(0).integers(0, 256, (40, 256, 3))
    assert value(noisy, landmarks) == pytest.approx(known)


def test_nothing_to_judge_is_no_value(portrait: tuple[np.ndarray, np.ndarray]) -> None:
    image, landmarks = portrait
    assert face_sharpness(np.full_like(image, 90), landmarks) is None
    assert face_sharpness(image, landmarks + 1000) is None
    lost = np.full_like(landmarks, np.nan)
    assert sharpness([image, image], [lost, landmarks]) == pytest.approx(face_sharpness(image, landmarks))
    assert sharpness([image], [lost]) is None
