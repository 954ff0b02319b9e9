"""Scores of sound measure what is planted."""

import numpy as np
import pytest

from chdtf.schema import SAMPLE_RATE_HZ, SAMPLES_PER_FRAME
from pipelines.scores.sound import (
    clipping_share,
    loudness_dbfs,
    silence_share,
    sound_envelope,
    speech_share,
    voiced_frames,
)


def buzz(seconds: float) -> np.ndarray:
    """Something like a voice: a pulse train of 120 Hz through formants, with syllables of 4 Hz."""
    time_s = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    tones = [np.sin(2 * np.pi * 120 * k * time_s) * np.exp(-(((120 * k - f) / 150) ** 2)) for f in (500, 1500, 2500)
             for k in range(1, 30)]  # fmt: skip
    wave = np.sum(tones, axis=0) * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * time_s))
    return (0.3 * wave / np.abs(wave).max()).astype(np.float32)


@pytest.mark.parametrize("amplitude", [1.0, 0.1, 0.003])
def test_loudness_of_a_sine_is_its_amplitude_less_3_db(amplitude: float) -> None:
    wave = amplitude * np.sin(np.arange(SAMPLE_RATE_HZ) * 0.1)
    assert loudness_dbfs(wave) == pytest.approx(20 * np.log10(amplitude) - 3.01, abs=0.05)
    assert loudness_dbfs(np.zeros(100)) == loudness_dbfs(np.zeros(0)) == -120


def test_speech_share_is_the_share_that_sounds_like_a_voice() -> None:
    silence = np.zeros(4 * SAMPLE_RATE_HZ, np.float32)
    voice = buzz(4.0)
    assert speech_share(voice) > 0.9
    assert speech_share(silence) == 0
    assert speech_share(np.concatenate([silence, voice])) == pytest.approx(0.5, abs=0.1)
    assert speech_share(np.zeros(0, np.float32)) == 0


def test_speech_is_heard_in_the_frames_that_hold_it() -> None:
    spoken = voiced_frames(np.concatenate([np.zeros(2 * SAMPLE_RATE_HZ, np.float32), buzz(2.0)]), 100)
    assert spoken.shape == (100,)
    assert not spoken[:49].any()
    assert spoken[55:].mean() > 0.9
    assert not voiced_frames(np.zeros(10, np.float32), 5).any()


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_silence_share_is_the_planted_share(share: float) -> None:
    wave = buzz(3.0)
    wave[: round(share * len(wave))] = 0.001  # -60 dBFS
    assert silence_share(wave) == pytest.approx(share, abs=0.02)
    assert silence_share(wave[:100]) is None


def test_clipping_is_seen_in_runs_and_not_in_peaks() -> None:
    sine = np.sin(np.arange(SAMPLE_RATE_HZ) * 0.05).astype(np.float32)
    assert clipping_share(0.95 * sine) == 0
    hard = np.clip(2 * sine, -1, 1)
    assert clipping_share(hard) == pytest.approx(np.mean(np.abs(hard) >= 0.98), abs=0.01)
    assert clipping_share(hard) == pytest.approx(2 / 3, abs=0.02)  # |2 sin| > 1 for two thirds of a period
    peaks = np.zeros(1000, np.float32)
    peaks[::10] = 1.0
    peaks[1::10] = -1.0  # of the other sign: no run
    assert clipping_share(peaks) == 0
    assert clipping_share(np.zeros(0, np.float32)) == 0


def test_clipping_falls_with_the_gain() -> None:
    shares = [clipping_share(np.clip(gain * buzz(1.0), -1, 1)) for gain in (2, 4, 8, 16)]
    assert shares == sorted(shares)
    assert shares[0] == 0
    assert shares[-1] > 0.1


def test_the_envelope_is_the_level_around_each_frame_and_a_gain_shifts_it() -> None:
    levels = 20 * np.sin(np.arange(60) / 5) - 30
    time = (np.arange(60 * SAMPLES_PER_FRAME) + 0.5) / SAMPLES_PER_FRAME - 0.5
    wave = 10 ** (np.interp(time, np.arange(60), levels) / 20)
    wave = (wave * np.tile([1, -1], len(wave) // 2)).astype(np.float32)
    found = sound_envelope(np.concatenate([wave, np.zeros(100, np.float32)]))
    assert found.dtype == np.float32
    assert found.shape == (60,)
    assert np.abs(found[1:-1] - levels[1:-1]).max() < 1.0
    assert np.argmax(found) in (8, 39)
    np.testing.assert_allclose(sound_envelope(wave / 2), found - 6.02, atol=0.01)
    assert sound_envelope(np.zeros(SAMPLES_PER_FRAME, np.float32)).tolist() == [-120]
    assert sound_envelope(np.zeros(10, np.float32)).shape == (0,)


def test_the_envelope_can_be_read_between_frames() -> None:
    wave = buzz(4.0) * np.repeat(np.random.default_rng(1).uniform(0.05, 1, 50), 1280).astype(np.float32)
    whole, half = sound_envelope(wave), sound_envelope(wave[SAMPLES_PER_FRAME // 2 :])
    between = (whole[:-1] + whole[1:]) / 2
    assert np.corrcoef(between[2:95], half[2:95])[0, 1] > 0.98
