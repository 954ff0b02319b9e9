from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmark.footage import Footage, Unscored
from benchmark.metrics import lmd_aligned
from benchmark.metrics.lmd import Metric
from chdtf.faces import MOUTH_20

LMD, ALIGNED = Metric(), lmd_aligned.Metric()


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
    aligned = ALIGNED.measure(footage(landmarks=opened), footage(landmarks=face), None)
    np.testing.assert_allclose(aligned[:, 0], 4.0, atol=1e-4)  # here 10 points by 8 px, and 10 not at all


@given(st.floats(-1.5, 1.5), st.floats(0.4, 2.5), st.floats(-60, 60), st.floats(-60, 60))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_aligned_reading_ignores_scale_roll_and_place(
    footage: Callable[..., Footage], face: np.ndarray, angle: float, scale: float, x_px: float, y_px: float
):
    """Moved by a similarity the mouth is where it was; moved within the face by 3 px, it is 3 px off."""
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turned, shifted = face.copy(), face.copy()
    shifted[:, MOUTH_20] += [0, 3, 0]
    turned[..., :2] = shifted[..., :2] @ turn.T + [x_px, y_px]
    aligned = ALIGNED.measure(footage(landmarks=turned), footage(landmarks=face), None)
    np.testing.assert_allclose(aligned[:, 0], 3, atol=1e-3)


def test_the_centred_reading_does_not_ignore_roll(footage: Callable[..., Footage], face: np.ndarray):
    turned = face.copy()
    turned[..., :2] = face[..., 1::-1]
    assert value(footage(landmarks=turned), footage(landmarks=face)) > 5


def test_a_crop_of_its_own_leaves_only_the_aligned_reading():
    assert "method_crop" not in LMD.geometries
    assert "method_crop" in ALIGNED.geometries


def test_frames_without_a_face_have_no_value_and_are_counted(footage: Callable[..., Footage], face: np.ndarray):
    opened = face.copy()
    opened[:, MOUTH_20[:10], 1] += 8.0
    opened[2] = np.nan
    values = LMD.measure(footage(landmarks=opened), footage(landmarks=face), None)
    assert np.isnan(values[2]).all()
    assert LMD.clip_value(values) == pytest.approx(4.0, abs=1e-4)
    assert LMD.details(values)["frames_scored"] == 5
    assert LMD.details(values)["missing_frames"] == 1


def test_too_few_faces_are_not_scored(footage: Callable[..., Footage], face: np.ndarray):
    lost = face.copy()
    lost[1:5] = np.nan
    with pytest.raises(Unscored, match="no_face: found in 2 of 6 frames, 50% needed"):
        value(footage(landmarks=lost), footage(landmarks=face))
    with pytest.raises(Unscored, match=r"no_face: found in 0 of 6 frames, 50% needed \(reference\)"):
        value(footage(landmarks=face), footage(landmarks=np.full_like(face, np.nan)))
    early, late = face.copy(), face.copy()
    early[:2], late[4:] = np.nan, np.nan
    with pytest.raises(Unscored, match="no_face: found in both in 2 of 6 frames, 50% needed"):
        value(footage(landmarks=early), footage(landmarks=late))
