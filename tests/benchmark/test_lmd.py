from collections.abc import Callable

import numpy as np
import pytest

from benchmark.footage import Footage, Unscored
from benchmark.metrics.lmd import Metric
from chdtf.faces import MOUTH_20

LMD = Metric()


@pytest.fixture
def face() -> np.ndarray:
    return np.random.default_rng(0).uniform(50, 200, (6, 478, 3))


def value(ours: Footage, theirs: Footage):
    return LMD.clip_value(LMD.measure(ours, theirs, None))


def test_a_copy_has_none(footage: Callable[..., Footage], face: np.ndarray):
    assert value(footage(landmarks=face), footage(landmarks=face)) == 0


def test_moving_the_head_does_not_count(footage: Callable[..., Footage], face: np.ndarray):
    moved = face + np.array([17.0, -9.0, 3.0])
    assert value(footage(landmarks=moved), footage(landmarks=face)) == pytest.approx(0, abs=1e-4)


def test_a_planted_opening_is_measured_in_pixels(footage: Callable[..., Footage], face: np.ndarray):
    """Ten of twenty points go down by 8 px: after centring every point is off by 4 px."""
    opened = face.copy()
    opened[:, MOUTH_20[:10], 1] += 8.0
    measured = LMD.measure(footage(landmarks=opened), footage(landmarks=face), None)
    np.testing.assert_allclose(measured[:, 0], 4.0, atol=1e-4)
    eyes = np.linalg.norm((face[:, 33] + face[:, 133] - face[:, 362] - face[:, 263])[:, :2] / 2, axis=1)
    np.testing.assert_allclose(measured[:, 1], 100 * 4.0 / eyes, rtol=1e-4)
    np.testing.assert_allclose(measured[:, 2], 4.0, atol=1e-4)  # here 10 points by 8 px, and 10 not at all


def test_the_aligned_reading_ignores_scale_and_roll(footage: Callable[..., Footage], face: np.ndarray):
    angle, scale = 0.3, 1.2
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turned = face.copy()
    turned[..., :2] = face[..., :2] @ turn.T + [5, 9]
    measured = LMD.measure(footage(landmarks=turned), footage(landmarks=face), None)
    assert measured[:, 0].min() > 5
    np.testing.assert_allclose(measured[:, 2], 0, atol=1e-3)


def test_frames_without_a_face_have_no_value_and_are_counted(footage: Callable[..., Footage], face: np.ndarray):
    opened = face.copy()
    opened[:, MOUTH_20[:10], 1] += 8.0
    opened[2] = np.nan
    values = LMD.measure(footage(landmarks=opened), footage(landmarks=face), None)
    assert np.isnan(values[2]).all()
    assert LMD.clip_value(values) == pytest.approx(4.0, abs=1e-4)
    assert LMD.details(values)["frames_scored"] == 5


def test_too_few_faces_are_not_scored(footage: Callable[..., Footage], face: np.ndarray):
    lost = face.copy()
    lost[1:5] = np.nan
    with pytest.raises(Unscored, match="no_face: found in 2 of 6 frames, 50% needed"):
        value(footage(landmarks=lost), footage(landmarks=face))
    with pytest.raises(Unscored, match="no_face: found in 0 of 6"):
        value(footage(landmarks=face), footage(landmarks=np.full_like(face, np.nan)))
    early, late = face.copy(), face.copy()
    early[:3], late[3:] = np.nan, np.nan
    with pytest.raises(Unscored, match="no frame in which both"):
        value(footage(landmarks=early), footage(landmarks=late))
