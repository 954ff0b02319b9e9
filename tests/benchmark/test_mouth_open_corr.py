from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.footage import Footage, Unscored
from benchmark.metrics.mouth_open_corr import Metric
from chdtf.faces import LOWER_INNER_LIP, OUTER_EYE_CORNERS, UPPER_INNER_LIP

CORR = Metric()


def mouth(opening: np.ndarray, eyes_px: float = 90.0, angle: float = 0.0, place_px: float = 0.0) -> np.ndarray:
    """Landmarks (T, 478, 3) of a face whose mouth is that far open, in distances of the outer eye corners."""
    landmarks = np.full((len(opening), 478, 3), 100.0)
    landmarks[:, OUTER_EYE_CORNERS[1], 0] += eyes_px
    landmarks[:, UPPER_INNER_LIP, 1] = 150.0
    landmarks[:, LOWER_INNER_LIP, 1] = 150.0 + opening * eyes_px
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    landmarks[..., :2] = landmarks[..., :2] @ turn.T + place_px
    landmarks[np.isnan(opening)] = np.nan
    return landmarks


def speech(frames: int, seed: int = 0) -> np.ndarray:
    """A mouth that opens and closes irregularly."""
    steps = np.random.default_rng(seed).normal(size=frames + 4)
    return 0.1 + 0.03 * np.abs(np.convolve(steps, np.ones(5) / 5, mode="valid"))


def value(ours: Footage, theirs: Footage) -> float:
    return CORR.clip_value(CORR.measure(ours, theirs, None))


@given(st.floats(40, 160), st.floats(-1, 1), st.floats(-50, 50), st.floats(0.3, 3), st.floats(0, 0.1))
@settings(max_examples=25, deadline=None)
def test_the_planted_opening_gives_one_whatever_the_size_place_and_strength(
    footage: Callable[..., Footage], eyes_px: float, angle: float, place_px: float, gain: float, offset: float
):
    truth = speech(50)
    ours = footage(landmarks=mouth(gain * truth + offset, eyes_px, angle, place_px))
    assert value(ours, footage(landmarks=mouth(truth))) == pytest.approx(1, abs=1e-3)


@given(st.integers(0, 2**31), st.floats(0, 2))
@settings(max_examples=25, deadline=None)
def test_equals_numpys_correlation_in_any_order(footage: Callable[..., Footage], seed: int, noise: float):
    random = np.random.default_rng(seed)
    truth = speech(60, seed)
    ours = truth + 0.02 + 0.01 * noise * random.uniform(size=60)
    values = CORR.measure(footage(landmarks=mouth(ours)), footage(landmarks=mouth(truth)), None)
    assert CORR.clip_value(values) == pytest.approx(np.corrcoef(ours, truth)[0, 1], abs=1e-3)
    assert CORR.clip_value(random.permutation(values)) == pytest.approx(CORR.clip_value(values), abs=1e-12)


def test_a_mouth_that_moves_the_other_way_has_minus_one_and_a_late_one_less(footage: Callable[..., Footage]):
    truth = speech(80)
    reference = footage(landmarks=mouth(truth))
    assert value(footage(landmarks=mouth(0.4 - truth)), reference) == pytest.approx(-1, abs=1e-4)
    by_lag = [value(footage(landmarks=mouth(np.roll(truth, lag))), reference) for lag in range(4)]
    assert by_lag[0] == pytest.approx(1)
    assert by_lag == sorted(by_lag, reverse=True)
    declared = footage(landmarks=mouth(np.roll(truth, 2)), start_frame=-2)
    assert value(declared, reference) == pytest.approx(1)


def test_frames_without_a_face_do_not_enter(footage: Callable[..., Footage]):
    truth = speech(40)
    lost = truth.copy()
    lost[5:9] = np.nan
    values = CORR.measure(footage(landmarks=mouth(2 * lost)), footage(landmarks=mouth(truth)), None)
    assert CORR.clip_value(values) == pytest.approx(1)
    details = CORR.details(values)
    assert details["missing_frames"] == 4
    assert details["movement_ratio"] == pytest.approx(2, abs=1e-3)


@pytest.mark.parametrize("who", ["generated", "reference"])
def test_a_mouth_that_does_not_move_has_no_correlation(footage: Callable[..., Footage], who: str):
    still, moving = footage(landmarks=mouth(np.full(30, 0.1))), footage(landmarks=mouth(speech(30)))
    with pytest.raises(Unscored, match=f"constant: the mouth of the {who} video"):
        CORR.measure(*((still, moving) if who == "generated" else (moving, still)), None)
    with pytest.raises(Unscored, match="no_reference"):
        CORR.measure(moving, None, None)


def test_a_set_is_the_mean_over_clips():
    arrays = [
        np.array([[0, 0], [1, 1], [2, 2.0]]),
        np.array([[0, 2], [1, 1], [2, 0.0]]),
        np.array([[0, 0], [1, 1], [0, 0.0]]),
    ]
    assert CORR.reduce(arrays) == pytest.approx(1 / 3)
