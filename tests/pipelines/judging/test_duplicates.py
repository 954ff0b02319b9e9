"""Envelopes: the lag that was planted is found, and the rhythm of some seconds finds its clip among many."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter1d

from pipelines.judging.duplicates import correlate, prepared, rhythm_pairs


def envelope(frames: int, seed: int) -> np.ndarray:
    """Levels with the rhythm of speech, dBFS (T,): standard deviation 10 dB, some four syllables a second."""
    rough = gaussian_filter1d(np.random.default_rng(seed).normal(size=frames), 1.5)
    return (rough / rough.std() * 10 - 30).astype(np.float32)


def excerpt(of: np.ndarray, begin: float, frames: int, gain_db: float = 0.0, noise_db: float = 0.5) -> np.ndarray:
    """What another recording of the same sound would measure, from frame `begin`, which need not be whole."""
    at = begin + np.arange(frames)
    noise = np.random.default_rng(7).normal(0, noise_db, frames)
    return (np.interp(at, np.arange(len(of)), of) + gain_db + noise).astype(np.float32)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 140), st.floats(-20, 6), st.integers(0, 1000))
def test_the_planted_lag_is_found_whatever_the_gain(begin: int, gain_db: float, seed: int) -> None:
    whole = envelope(300, seed)
    part = excerpt(whole, begin, 150, gain_db)
    found = correlate(prepared(whole), prepared(part), 75)
    assert found.lag == begin
    assert found.correlation > 0.97
    assert found.overlap == 150
    assert correlate(prepared(part), prepared(whole), 75).lag == -begin


def test_correlation_is_pearsons_at_every_lag() -> None:
    x, y = envelope(60, 1).astype(float), envelope(40, 2).astype(float)
    expected = max(np.corrcoef(x[k : k + 40], y)[0, 1] for k in range(21))
    assert correlate(x, y, 40).correlation == pytest.approx(expected, abs=1e-9)


def test_half_a_frame_between_lags_is_found() -> None:
    whole = envelope(300, 3)
    assert correlate(prepared(whole), prepared(excerpt(whole, 40.5, 150)), 75).correlation > 0.96


def test_different_sounds_are_not_alike() -> None:
    values = [correlate(prepared(envelope(150, 2 * k)), prepared(envelope(250, 2 * k + 1)), 75) for k in range(40)]
    assert max(match.correlation for match in values) < 0.7


def test_silence_and_steady_sound_are_like_nothing() -> None:
    assert len(prepared(np.full(100, -120, np.float32))) == 0
    steady = prepared(np.full(100, -30, np.float32) + np.random.default_rng(0).normal(0, 0.1, 100))
    assert correlate(steady, steady, 50).correlation == 0
    assert correlate(prepared(envelope(100, 0)), np.zeros(0), 50).correlation == 0


def test_an_encoders_silent_ends_do_not_count() -> None:
    whole = envelope(200, 5)
    padded = np.concatenate([np.full(3, -120), whole, np.full(2, -120)]).astype(np.float32)
    np.testing.assert_array_equal(prepared(padded), prepared(whole))


def test_rhythm_finds_planted_pairs_among_many_and_few_others() -> None:
    clips = [envelope(200, seed) for seed in range(300)]
    planted = [excerpt(clips[k], 20 + (k % 10) / 10, 170, -6.0) for k in range(0, 300, 10)]
    pairs = rhythm_pairs([prepared(clip) for clip in [*clips, *planted]])
    wanted = {(k, 300 + number) for number, k in enumerate(range(0, 300, 10))}
    assert len(wanted & pairs) >= 0.8 * len(wanted)
    assert len(pairs - wanted) < 100  # of 54,000
    assert rhythm_pairs([]) == set()
    assert rhythm_pairs([np.zeros(0), prepared(envelope(50, 1))]) == set()
