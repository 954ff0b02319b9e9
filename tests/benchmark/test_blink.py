from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from benchmark.blinking import count_blinks
from benchmark.footage import Footage, Unscored
from benchmark.metrics import blink_fixed, blink_gt_distance
from benchmark.metrics.blink import Metric
from chdtf.schema import FPS

BLINK = Metric()
OPEN, CLOSED = 0.3, 0.06


def curve(*runs: tuple[float, int]) -> np.ndarray:
    return np.concatenate([np.full(frames, ear) for ear, frames in runs])


@given(
    st.lists(st.tuples(st.integers(2, 6), st.integers(8, 40)), min_size=0, max_size=6),
    st.floats(0.2, 0.42),
    st.integers(0, 2**31),
)
@settings(max_examples=40, deadline=None)
def test_planted_blinks_are_counted(
    eyes: Callable[[np.ndarray], np.ndarray],
    footage: Callable[..., Footage],
    plan: list[tuple[int, int]],
    open_ear: float,
    seed: int,
):
    ear = curve((open_ear, 10), *(run for shut, wait in plan for run in ((0.2 * open_ear, shut), (open_ear, wait))))
    ear = ear * np.random.default_rng(seed).uniform(0.95, 1.05, len(ear))
    values = BLINK.measure(footage(landmarks=eyes(ear)), None, None)
    assert values[0] == len(plan)
    assert values[1] == len(ear) / FPS
    assert BLINK.clip_value(values) == pytest.approx(len(plan) / (len(ear) / FPS))


@pytest.mark.parametrize(
    ("ear", "blinks"),
    [
        (curve((OPEN, 9), (CLOSED, 1), (OPEN, 9)), 0),  # one frame is noise
        (curve((OPEN, 9), (CLOSED, 2), (OPEN, 9)), 1),
        (curve((OPEN, 40), (CLOSED, 15), (OPEN, 40)), 1),
        (curve((OPEN, 40), (CLOSED, 16), (OPEN, 40)), 0),  # eyes shut, not a blink
        (curve((OPEN, 20), (CLOSED, 4)), 0),  # does not re-open before the end
        (curve((CLOSED, 4), (OPEN, 20)), 1),
        (curve((CLOSED, 50)), 0),  # never open
        (curve((OPEN, 9), (0.22, 4), (OPEN, 9)), 0),  # above 0.7 of the median
        (curve((OPEN, 9), (0.20, 4), (OPEN, 9)), 1),
        (curve((OPEN, 9), (CLOSED, 3), (np.nan, 2), (OPEN, 9)), 0),  # not seen to re-open
    ],
)
def test_rules_of_a_blink(
    ear: np.ndarray, blinks: int, eyes: Callable[[np.ndarray], np.ndarray], footage: Callable[..., Footage]
):
    assert BLINK.measure(footage(landmarks=eyes(ear)), None, None)[0] == blinks


def test_narrow_eyes_do_not_blink_all_the_time(
    eyes: Callable[[np.ndarray], np.ndarray], footage: Callable[..., Footage]
):
    """A person whose open eyes measure 0.22 dips below the field's fixed 0.2 without closing them."""
    ear = np.tile(curve((0.22, 10), (0.19, 3)), 6)
    assert BLINK.measure(footage(landmarks=eyes(ear)), None, None)[0] == 0
    assert Metric(fixed_ear=0.2).measure(footage(landmarks=eyes(ear)), None, None)[0] == 5


def test_time_without_a_face_does_not_count(eyes: Callable[[np.ndarray], np.ndarray], footage: Callable[..., Footage]):
    ear = curve((OPEN, 40), (CLOSED, 3), (OPEN, 7), (np.nan, 25))
    values = BLINK.measure(footage(landmarks=eyes(ear)), None, None)
    assert BLINK.details(values) == {"blinks": 1, "seconds": 2, "missing_frames": 25}


def test_a_clip_without_faces_is_not_scored(eyes: Callable[[np.ndarray], np.ndarray], footage: Callable[..., Footage]):
    with pytest.raises(Unscored, match="no_face"):
        BLINK.measure(footage(landmarks=eyes(np.full(20, np.nan))), None, None)


def test_a_set_pools_blinks_and_seconds():
    arrays = [np.array([1, 4.0, np.nan, np.nan]), np.array([0, 36.0, np.nan, np.nan])]
    assert BLINK.reduce(arrays) == 1 / 40


@pytest.mark.parametrize("blinks", [0, 1, 7, 34])
def test_interval_is_the_exact_poisson_one(blinks: int):
    low, high = BLINK.interval([np.array([blinks, 64.2, 0, 1])])
    assert low * 64.2 == pytest.approx(chi2.ppf(0.025, 2 * blinks) / 2 if blinks else 0)
    assert high * 64.2 == pytest.approx(chi2.ppf(0.975, 2 * blinks + 2) / 2)
    assert low <= blinks / 64.2 <= high


def test_the_distance_to_the_reference_stands_beside_the_rate(
    eyes: Callable[[np.ndarray], np.ndarray], footage: Callable[..., Footage]
):
    blinking = footage(landmarks=eyes(curve((OPEN, 20), (CLOSED, 3), (OPEN, 27))))
    staring = footage(landmarks=eyes(curve((OPEN, 50))))
    details = BLINK.details(BLINK.measure(staring, blinking, None))
    expected = {"blinks": 0, "seconds": 2, "missing_frames": 0, "reference_rate": 0.5, "rate_difference": 0.5}
    assert details == expected
    assert "rate_difference" not in BLINK.details(BLINK.measure(staring, None, None))


def test_count_blinks_of_nothing():
    assert count_blinks(np.zeros(0), 0.2, 2, 15) == 0


@pytest.mark.parametrize(
    ("ear", "blinks"),
    [
        (curve((OPEN, 9), (0.14, 2), (OPEN, 9)), 0),  # two frames are too few
        (curve((OPEN, 9), (0.14, 3), (OPEN, 9)), 1),
        (curve((OPEN, 9), (0.16, 3), (OPEN, 9)), 0),  # a blink by the relative rule
        (curve((0.12, 9), (0.14, 40), (0.16, 1)), 1),  # no upper limit
        (curve((OPEN, 9), (0.14, 9)), 0),
    ],
)
def test_the_papers_reading_is_a_fixed_threshold(
    ear: np.ndarray, blinks: int, eyes: Callable[[np.ndarray], np.ndarray], footage: Callable[..., Footage]
):
    fixed = blink_fixed.Metric()
    assert fixed.variant_of == BLINK.name
    assert fixed.measure(footage(landmarks=eyes(ear)), None, None)[0] == blinks


def test_the_distance_to_ground_truth_is_taken_clip_by_clip(
    eyes: Callable[[np.ndarray], np.ndarray], footage: Callable[..., Footage]
):
    """One clip with a blink too many and one with a blink too few: pooled rates would agree, and 0.5/s is missed."""
    distance = blink_gt_distance.Metric()
    once, never = curve((OPEN, 20), (CLOSED, 3), (OPEN, 27)), curve((OPEN, 50))
    twice = curve((OPEN, 10), (CLOSED, 3), (OPEN, 10), (CLOSED, 3), (OPEN, 24))
    truth = footage(landmarks=eyes(once))
    arrays = [distance.measure(footage(landmarks=eyes(ear)), truth, None) for ear in (twice, never, once)]
    assert [distance.clip_value(values) for values in arrays] == [0.5, 0.5, 0]
    assert distance.reduce(arrays[:2]) == 0.5
    assert distance.details(arrays[1]) == {"rate": 0, "reference_rate": 0.5, "missing_frames": 0}
    with pytest.raises(Unscored, match="no_reference"):
        distance.measure(truth, None, None)
    with pytest.raises(Unscored, match="no_face"):
        distance.measure(truth, footage(landmarks=eyes(np.full(50, np.nan))), None)


@given(st.floats(-1.0, 1.0), st.floats(0.5, 2.0), st.floats(-50, 50))
@settings(max_examples=10, deadline=None)
def test_head_roll_size_and_place_change_no_blink(
    eyes: Callable[[np.ndarray], np.ndarray],
    footage: Callable[..., Footage],
    angle: float,
    scale: float,
    shift_px: float,
):
    landmarks = eyes(np.tile(curve((OPEN, 12), (CLOSED, 3)), 3))
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = landmarks.copy()
    moved[..., :2] = landmarks[..., :2] @ turn.T + shift_px
    found = BLINK.measure(footage(landmarks=moved), footage(landmarks=landmarks), None)
    assert found[0] == found[2] == 2
