import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from chdtf.errors import UserError
from disenttalk_ref.audio import AudioFeatures, normalise_loudness
from disenttalk_ref.audio.streaming import CausalLoudness, FeatureStream, open_stream


def _speech(seconds: float, level: float = 0.1, seed: int = 0) -> np.ndarray:
    """Noise in syllables of 200 ms, with pauses at -60 dB."""
    rng = np.random.default_rng(seed)
    count = int(seconds * 16_000)
    syllables = np.repeat(rng.random(count // 3200 + 1) < 0.6, 3200)[:count]
    return (rng.standard_normal(count) * np.where(syllables, level, 1e-3 * level)).astype(np.float32)


def _streamed(stream: FeatureStream, waveform: np.ndarray, cuts: list[int]) -> np.ndarray:
    parts = np.split(waveform, sorted(min(cut, len(waveform)) for cut in cuts))
    return np.concatenate([*(stream.push(part) for part in parts), stream.finish()])


@settings(max_examples=25, deadline=None)
@given(samples=st.integers(0, 12_000), cuts=st.lists(st.integers(0, 12_000), max_size=8))
def test_a_stream_gives_the_rows_of_the_whole_however_it_is_cut(samples: int, cuts: list[int]):
    waveform = _speech(1)[:samples]
    whole = AudioFeatures().features(torch.from_numpy(waveform)[None])[0].numpy()
    rows = _streamed(FeatureStream(), waveform, cuts)
    assert rows.shape == whole.shape
    same = len(rows) if samples % 640 < 120 else max(0, len(rows) - 1)
    np.testing.assert_allclose(rows[:same], whole[:same], atol=2e-5)


def test_a_row_comes_with_the_last_sample_that_it_hears_and_not_before():
    waveform = _speech(1)
    for features in (AudioFeatures(), AudioFeatures(window_samples=480)):
        stream = FeatureStream(features)
        needed = 5 * 640 + stream.look_ahead_samples
        assert len(stream.push(waveform[: needed - 1])) == 4
        row = stream.push(waveform[needed - 1 : needed])
        changed = waveform.copy()
        changed[needed:] += 0.5
        whole = features.features(torch.from_numpy(changed)[None])[0].numpy()
        np.testing.assert_allclose(row[0], whole[4], atol=2e-5)
        changed[needed - 40] += 0.5
        assert np.abs(features.features(torch.from_numpy(changed)[None])[0, 4].numpy() - row[0]).max() > 0.1
    assert FeatureStream().look_ahead_samples == 120


@settings(max_examples=15, deadline=None)
@given(cuts=st.lists(st.integers(0, 20_000), max_size=6))
def test_the_running_loudness_does_not_depend_on_the_cuts_nor_on_the_future(cuts: list[int]):
    waveform = _speech(1.25)
    whole, parts = CausalLoudness()(waveform), CausalLoudness()
    cut = np.concatenate([parts(part) for part in np.split(waveform, sorted(cuts))])
    np.testing.assert_array_equal(cut, whole)
    louder = np.concatenate([waveform[:10_000], waveform[10_000:] * 9])
    np.testing.assert_array_equal(CausalLoudness()(louder)[:10_000], whole[:10_000])


@pytest.mark.parametrize("level", [0.008, 0.05, 0.6])
def test_the_running_loudness_arrives_at_that_of_the_whole(level: float):
    waveform = _speech(20, level)
    loudness = CausalLoudness()
    errors = []
    for part in np.split(waveform, 10):
        loudness(part)
        wanted = normalise_loudness(waveform)[0] / waveform[0]
        errors.append(abs(20 * np.log10(loudness.gain / wanted)))
    assert errors[-1] < 1.0
    assert errors[0] < 6.0  # after two seconds, where the level expected was 22 dB off


def test_noise_before_the_first_word_is_not_raised_and_silence_stays_silence():
    noise = np.random.default_rng(0).standard_normal(5 * 16_000).astype(np.float32) * 1e-3
    loudness = CausalLoudness()
    np.testing.assert_allclose(loudness(noise), noise * 2, rtol=1e-5)  # the gain expected for speech at -26 dBFS
    after = loudness(_speech(2, 0.1))
    assert np.sqrt((after[8000:] ** 2).mean()) < 0.2
    rows = _streamed(FeatureStream(loudness=CausalLoudness()), np.zeros(16_000, np.float32), [5])
    np.testing.assert_array_equal(rows, -1)


def test_what_cannot_be_streamed_is_refused():
    @dataclasses.dataclass(frozen=True)
    class Whole:
        kind: str = "hubert"

    with pytest.raises(UserError, match=r"'hubert'.*cannot be streamed"):
        open_stream(Whole())  # type: ignore[arg-type]
    stream = open_stream(AudioFeatures())
    with pytest.raises(UserError, match="sample 3"):
        stream.push(np.array([0, 0, 0, np.nan], np.float32))
    stream.finish()
    with pytest.raises(ValueError, match="finished"):
        stream.push(np.zeros(1, np.float32))
