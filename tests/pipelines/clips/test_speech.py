"""Speech: planted voices are found where they are, and a source is divided by its silences."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chdtf import encode, media
from chdtf.schema import FPS, SAMPLE_RATE_HZ
from pipelines.clips.speech import VAD_FRAME, Speech, pieces, sound_chunks, speech_segments, voiced


def voice(seconds: float, seed: int = 0) -> np.ndarray:
    """A buzz with formants whose loudness follows syllables: what the detector takes for speech."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    pitch = 120 + 20 * np.sin(2 * np.pi * 0.7 * t)
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE_HZ
    buzz = sum(np.sin(k * phase) * np.exp(-(((k * 120 - 700) / 600) ** 2)) for k in range(1, 25))
    loud = 0.6 + 0.4 * np.sin(2 * np.pi * 4 * t)
    return (0.15 * buzz * loud + rng.normal(0, 1e-3, len(t))).astype(np.float32)


def quiet(seconds: float) -> np.ndarray:
    return np.random.default_rng(1).normal(0, 1e-4, round(seconds * SAMPLE_RATE_HZ)).astype(np.float32)


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    """A video of 14 s in which somebody speaks from 2 to 5 s and from 10 to 12 s; lossless sound."""
    path = tmp_path_factory.mktemp("spoken") / "a.wav"
    wave = np.concatenate([quiet(2), voice(3), quiet(5), voice(2, 1), quiet(2)])
    path.write_bytes(encode.encode_audio(wave, codec="wav"))
    return path, wave


def test_voices_are_found_where_they_are(spoken: tuple[Path, np.ndarray]) -> None:
    found = speech_segments(spoken[0], 0.0, 14.0)
    assert np.array(found) == pytest.approx(np.array([(2, 5), (10, 12)]), abs=0.3)
    assert np.array(speech_segments(spoken[0], 4.0, 11.0)) == pytest.approx(np.array([(4, 5), (10, 11)]), abs=0.3)


def test_sound_in_pieces_is_the_sound(spoken: tuple[Path, np.ndarray]) -> None:
    """Piece by piece as in one go, also from the middle."""
    for start_s, end_s in ((0.0, 14.0), (3.3, 4.8)):
        whole = media.read_waveform(spoken[0], SAMPLE_RATE_HZ, start_s, end_s)
        assert np.array_equal(np.concatenate(list(sound_chunks(spoken[0], start_s, end_s))), whole)


def test_sound_that_begins_late_or_breaks_off_keeps_its_place(tmp_path: Path) -> None:
    """Time counts from the first video frame; what cannot be opened is silent, not an error."""
    (tmp_path / "a.mp4").write_text("no media")
    assert speech_segments(tmp_path / "a.mp4", 0.0, 10.0) == []
    wave = np.concatenate([quiet(1), voice(2), quiet(1)])
    (tmp_path / "b.flac").write_bytes(encode.encode_audio(wave))
    content = (tmp_path / "b.flac").read_bytes()
    (tmp_path / "b.flac").write_bytes(content[: round(len(content) * 0.6)])
    ((begin_s, end_s),) = speech_segments(tmp_path / "b.flac", 0.0, 10.0)
    assert begin_s == pytest.approx(1.0, abs=0.3)
    assert end_s < 3.0


def test_one_verdict_for_each_30_ms() -> None:
    wave = np.concatenate([quiet(1), voice(1)])
    found = voiced(wave)
    assert found.dtype == bool
    assert len(found) == len(wave) // VAD_FRAME
    assert found[: len(found) // 2].mean() < 0.1
    assert found[len(found) // 2 + 3 :].mean() > 0.9
    assert len(voiced(np.zeros(100, np.float32))) == 0


SPEECH = Speech([(1.0, 4.0), (5.0, 8.0), (14.0, 20.0)], 0.0, 30.0, max_pause_s=3.0, margin_s=0.5)


@pytest.mark.parametrize(
    ("begin_s", "end_s", "is_pause"),
    [
        (0.0, 8.5, False),  # the short pause at 4 s does not divide
        (8.5, 13.5, True),
        (13.5, 20.5, False),
        (20.5, 30.0, True),
        (6.0, 8.5, False),
        (10.0, 13.5, True),  # a shot that begins within a pause
    ],
)
def test_a_long_silence_divides_and_speech_keeps_a_margin(begin_s: float, end_s: float, is_pause: bool) -> None:
    stretch = SPEECH.stretch(begin_s)
    assert (stretch.end_s, stretch.is_pause) == (end_s, is_pause)


def test_silence_alone() -> None:
    assert Speech([], 0.0, 2.0, 3.0, 0.5).stretch(0.0).is_pause is False
    assert Speech([], 0.0, 20.0, 3.0, 0.5).stretch(0.0).is_pause is True


@given(
    st.lists(st.floats(0.1, 8), min_size=2, max_size=12),
    st.floats(0, 3),
    st.floats(0.5, 5),
    st.floats(0, 0.25),
)
def test_stretches_cover_the_interval_and_all_speech(
    steps: list[float], start_s: float, max_pause_s: float, margin_s: float
) -> None:
    times = start_s + np.cumsum(steps)
    segments = [(a, b) for a, b in zip(times[::2], times[1::2], strict=False)]
    end_s = float(times[-1]) + 1.0
    speech = Speech(segments, start_s, end_s, max_pause_s, margin_s)
    at_s, pauses = start_s, []
    while at_s < end_s:
        stretch = speech.stretch(at_s)
        assert stretch.end_s > at_s
        pauses += [(at_s, stretch.end_s)] if stretch.is_pause else []
        at_s = stretch.end_s
    assert at_s == end_s
    for a, b in segments:
        assert not any(low < b - 1e-9 and high > a + 1e-9 for low, high in pauses)


@given(st.floats(0, 1e4), st.floats(1, 4000), st.floats(2, 60))
def test_pieces_cover_the_interval_on_the_frame_grid(start_s: float, length_s: float, max_clip_s: float) -> None:
    found = pieces(start_s, start_s + length_s, max_clip_s)
    assert found[0][0] == start_s
    assert found[-1][1] == start_s + length_s
    assert all(left[1] == right[0] for left, right in itertools.pairwise(found))
    lengths = [end - begin for begin, end in found]
    assert max(lengths) <= max_clip_s + 1 / FPS
    assert max(lengths) - min(lengths) <= 2 / FPS + 1e-6
    for begin, _ in found:
        assert (begin - start_s) * FPS == pytest.approx(round((begin - start_s) * FPS), abs=1e-6)


def test_a_long_stretch_is_cut_between_words() -> None:
    speech = Speech([(0, 19.0), (19.6, 45.0)], 0.0, 45.0, 3.0, 0.5)
    assert speech.cut_before(0.0, 45.0, 30.0) == pytest.approx(22.48)  # no gap within 2 s of the half: as it is
    speech = Speech([(0, 21.0), (21.6, 23.0), (23.1, 45.0)], 0.0, 45.0, 3.0, 0.5)
    assert speech.cut_before(0.0, 45.0, 30.0) == pytest.approx(21.28, abs=0.02)  # the longer of two gaps
    assert speech.cut_before(0.0, 29.0, 30.0) == 29.0
    full = Speech([(0, 29.0), (29.2, 60.0)], 0.0, 60.0, 3.0, 0.5)
    assert full.cut_before(0.0, 60.0, 30.0) == 30.0, "two full pieces do not become three"
