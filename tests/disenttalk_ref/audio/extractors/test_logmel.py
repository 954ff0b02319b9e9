import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from chdtf.errors import UserError
from disenttalk_ref.audio import AudioFeatures
from disenttalk_ref.audio.extractors.logmel import FFT_SIZE, mel_filters

RATE = 16_000


def _filter_by_definition(band: int, bands: int, low: float, high: float, bin_hz: float) -> float:
    """One weight of one triangle, straight from O'Shaughnessy's mel scale in natural logarithms."""

    def hz(mel: float) -> float:
        return 700 * (math.exp(mel / 1127.01048) - 1)

    bottom, top = (1127.01048 * math.log(1 + f / 700) for f in (low, high))
    left, centre, right = (hz(bottom + (top - bottom) * (band + k) / (bands + 1)) for k in range(3))
    if left < bin_hz <= centre:
        return (bin_hz - left) / (centre - left)
    if centre < bin_hz < right:
        return (right - bin_hz) / (right - centre)
    return 0.0


def test_mel_filters_equal_an_independent_formula():
    filters = mel_filters(80, 60, 7600)
    expected = [
        [_filter_by_definition(band, 80, 60, 7600, k * RATE / FFT_SIZE) for k in range(FFT_SIZE // 2 + 1)]
        for band in range(80)
    ]
    np.testing.assert_allclose(filters, expected, atol=2e-4)


@pytest.mark.parametrize("frame", [0, 7, 19])
def test_an_impulse_in_a_frame_is_heard_in_its_row(frame: int):
    waveform = torch.zeros(1, 20 * 640)
    waveform[0, frame * 640 + 320] = 1.0
    rows = AudioFeatures().features(waveform)[0].sum(-1)
    assert int(rows.argmax()) == frame
    others = torch.cat([rows[:frame], rows[frame + 1 :]])
    assert torch.allclose(others, others[0].expand_as(others))  # nothing elsewhere


@pytest.mark.parametrize("part", range(4))
def test_the_four_mel_frames_of_a_row_are_in_order(part: int):
    waveform = torch.zeros(1, 5 * 640)
    waveform[0, 2 * 640 + 160 * part + 80] = 1.0
    row = AudioFeatures().features(waveform)[0, 2].reshape(4, 80).sum(-1)
    assert int(row.argmax()) == part


def test_a_full_scale_sine_is_zero_decibels_in_its_band():
    centre = 700 * (10 ** (np.linspace(*(2595 * np.log10(1 + np.array([60, 7600]) / 700)), 82)[60] / 2595) - 1)
    centre = round(centre / (RATE / FFT_SIZE)) * RATE / FFT_SIZE
    waveform = torch.sin(2 * math.pi * centre * torch.arange(10 * 640) / RATE)[None]
    features = AudioFeatures()
    decibels = (features.features(waveform)[0, 5].reshape(4, 80)[1] + 1) * 15 + features.floor_db
    assert int(decibels.argmax()) in (58, 59, 60)
    assert abs(float(decibels.max())) < 2.5  # the window spreads it over three bins


@settings(max_examples=20, deadline=None)
@given(samples=st.integers(0, 9000))
def test_rows_are_whole_frames(samples: int):
    features = AudioFeatures()
    result = features.extract(np.random.default_rng(samples).standard_normal(samples).astype(np.float32))
    assert result.shape == (samples // 640, features.width)
    assert result.dtype == np.float32


def test_long_sound_is_computed_in_blocks_without_a_trace(monkeypatch: pytest.MonkeyPatch):
    noise = np.random.default_rng(0).standard_normal(25 * 640 + 300).astype(np.float32)
    at_once = AudioFeatures().extract(noise)
    monkeypatch.setattr("disenttalk_ref.audio.extractors.logmel._BLOCK_FRAMES", 7)
    np.testing.assert_allclose(AudioFeatures().extract(noise), at_once, atol=2e-5)


def test_features_do_not_depend_on_the_recording_level():
    speech = np.random.default_rng(0).standard_normal(30 * 640).astype(np.float32) * 0.05
    speech[: 10 * 640] = 0  # a pause does not count
    loud, quiet = AudioFeatures().extract(speech * 4), AudioFeatures().extract(speech / 4)
    np.testing.assert_allclose(loud, quiet, atol=1e-3)


def test_silence_stays_silence():
    noise = np.random.default_rng(0).standard_normal(20 * 640).astype(np.float32) * 1e-6
    np.testing.assert_array_equal(AudioFeatures().extract(noise), -1)


def test_refusals_name_the_value():
    with pytest.raises(UserError, match=r"hubrt.*parse"):
        AudioFeatures(kind="hubrt")
    with pytest.raises(UserError, match=r"logmel:80.*nothing behind"):
        AudioFeatures.of("80")
    with pytest.raises(ValueError, match=r"\(2, 640\)"):
        AudioFeatures().extract(np.zeros((2, 640), np.float32))
