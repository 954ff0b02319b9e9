from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.footage import Footage, Unscored
from benchmark.metrics.ear import Metric

EAR = Metric()
Eyes = Callable[[np.ndarray], np.ndarray]


@given(st.lists(st.floats(0.02, 0.5), min_size=3, max_size=40), st.integers(0, 2**31))
@settings(max_examples=25, deadline=None)
def test_the_curve_is_measured_and_its_median_is_the_value_in_any_order(
    eyes: Eyes, footage: Callable[..., Footage], planted: list[float], seed: int
):
    curve = np.array(planted)
    values = EAR.measure(footage(landmarks=eyes(curve)), None, None)
    np.testing.assert_allclose(values[:, 0], curve, atol=1e-5)
    assert EAR.clip_value(values) == pytest.approx(np.median(curve), abs=1e-5)
    assert EAR.clip_value(np.random.default_rng(seed).permutation(values)) == EAR.clip_value(values)


def test_blinks_do_not_move_the_value_but_the_least_is_stored(eyes: Eyes, footage: Callable[..., Footage]):
    curve = np.concatenate([np.full(20, 0.3), np.full(5, 0.05), np.full(20, 0.3)])
    values = EAR.measure(footage(landmarks=eyes(curve)), None, None)
    assert EAR.clip_value(values) == pytest.approx(0.3, abs=1e-6)
    assert EAR.details(values)["ear_min"] == pytest.approx(0.05, abs=1e-6)


def test_the_references_curve_stands_beside_it_at_the_same_moments(eyes: Eyes, footage: Callable[..., Footage]):
    """Our frame 0 shows what the reference shows at its frame 3; the last frames have no counterpart."""
    truth = np.linspace(0.2, 0.4, 20)
    ours = footage(landmarks=eyes(truth[3:] + 0.02), start_frame=3)
    values = EAR.measure(ours, footage(landmarks=eyes(truth[:15])), None)
    np.testing.assert_allclose(values[:12, 0] - values[:12, 1], 0.02, atol=1e-5)
    assert np.isnan(values[12:, 1]).all()
    details = EAR.details(values)
    assert details["reference_median"] == pytest.approx(np.median(truth[3:15]), abs=1e-5)
    assert details["median_difference"] == pytest.approx(
        abs(np.median(truth[3:] + 0.02) - np.median(truth[3:15])), abs=1e-5
    )


def test_a_set_is_the_mean_of_medians():
    arrays = [
        np.array([[0.1, np.nan], [0.1, np.nan], [0.9, np.nan]]),
        np.array([[0.2, np.nan]]),
        np.array([[0.6, np.nan]]),
    ]
    assert EAR.reduce(arrays) == pytest.approx(0.3)
    np.testing.assert_array_equal(EAR.terms(arrays), [[0.1, 1], [0.2, 1], [0.6, 1]])


def test_frames_without_a_face_are_counted_and_too_many_are_not_scored(eyes: Eyes, footage: Callable[..., Footage]):
    curve = np.array([0.3, np.nan, 0.3, 0.3])
    values = EAR.measure(footage(landmarks=eyes(curve)), None, None)
    assert EAR.details(values)["missing_frames"] == 1
    with pytest.raises(Unscored, match="no_face: found in 1 of 4"):
        EAR.measure(footage(landmarks=eyes(np.array([0.3, np.nan, np.nan, np.nan]))), None, None)
