import numpy as np
import pytest

from chdtf.errors import UserError
from disenttalk_ref.audio import normalise_loudness
from disenttalk_ref.audio.loudness import checked


def test_speech_has_the_same_level_however_it_was_recorded_and_however_long_the_pauses():
    speech = np.random.default_rng(0).standard_normal(30 * 640).astype(np.float32) * 0.05
    speech[: 10 * 640] = 0
    for level in (4.0, 1.0, 0.25):
        assert np.sqrt((normalise_loudness(speech * level)[10 * 640 :] ** 2).mean()) == pytest.approx(0.1, rel=0.02)


def test_silence_is_raised_by_at_most_thirty():
    noise = np.random.default_rng(0).standard_normal(20 * 640).astype(np.float32) * 1e-6
    np.testing.assert_allclose(normalise_loudness(noise), noise * 30, rtol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_the_first_sample_that_is_no_number_is_named(bad: float):
    waveform = np.zeros(32_000, np.float32)
    waveform[8000:] = bad
    with pytest.raises(UserError, match=r"sample 8000 \(at 0\.500 s\)"):
        checked(waveform)


def test_clipped_sound_passes_and_two_channels_are_a_programmers_mistake():
    loud = np.sign(np.sin(np.arange(6400) * 0.1)).astype(np.float32) * 2
    assert checked(loud) is loud
    with pytest.raises(ValueError, match=r"\(2, 640\)"):
        checked(np.zeros((2, 640), np.float32))
