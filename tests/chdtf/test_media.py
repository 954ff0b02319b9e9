"""chdtf.media: time, sound and bytes come back as they were put in."""

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chdtf import media
from chdtf.errors import Reject
from chdtf.schema import FPS, SAMPLE_RATE_HZ


def counting_frames(count: int, size: int = 64) -> list[np.ndarray]:
    """Grey frames whose level tells their number."""
    return [np.full((size, size, 3), 20 + 4 * i, np.uint8) for i in range(count)]


def click_at(seconds: float, length_s: float) -> np.ndarray:
    """Silence, then a tone from `seconds` on."""
    time_s = np.arange(round(length_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    return np.where(time_s >= seconds, 0.5 * np.sin(2 * np.pi * 440 * time_s), 0).astype(np.float32)


def test_frames_come_back_in_order(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    assert media.write_video(path, counting_frames(50), click_at(0, 2)) == 50
    levels = media.read_frames(path).mean((1, 2, 3))
    assert np.abs(levels - (20 + 4 * np.arange(50))).max() < 2


@pytest.mark.parametrize("source_fps", [25, 22.13, 29.97, 30, 50, 60])
def test_resampling_keeps_time(tmp_path: Path, source_fps: float) -> None:
    """At output frame k the picture is the one shown at k/25 s, to half a source frame and half an output frame."""
    path = tmp_path / "a.mp4"
    count = round(source_fps * 1.0)
    media.write_video(path, counting_frames(count), fps=source_fps)
    levels = media.read_frames(path).mean((1, 2, 3))
    shown_s = (levels - 20) / 4 / source_fps
    assert len(levels) == pytest.approx(FPS, abs=1)
    assert np.abs(shown_s - np.arange(len(levels)) / FPS).max() <= 0.5 / source_fps + 0.5 / FPS


def test_interval_begins_where_asked(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    media.write_video(path, counting_frames(58))
    levels = np.array([frame.mean() for frame in media.frames(path, start_s=1.2, end_s=1.6)])
    assert np.abs(levels - (20 + 4 * np.arange(30, 40))).max() < 2


def test_sound_stays_with_the_picture(tmp_path: Path) -> None:
    """A tone that begins with frame 12 begins there after encoding, to 2 ms."""
    path = tmp_path / "a.mp4"
    media.write_video(path, counting_frames(50), click_at(12 / FPS, 2))
    waveform = media.read_waveform(path)
    assert waveform is not None
    onset_s = np.argmax(np.abs(waveform) > 0.1) / SAMPLE_RATE_HZ
    assert onset_s == pytest.approx(12 / FPS, abs=0.002)


def test_replaced_sound_leaves_the_picture_untouched(tmp_path: Path) -> None:
    before, after = tmp_path / "a.mp4", tmp_path / "b.mp4"
    media.write_video(before, counting_frames(50), click_at(0.4, 2))
    media.replace_audio(before, after, click_at(1.0, 2))
    assert np.array_equal(media.read_frames(before), media.read_frames(after))
    waveform = media.read_waveform(after)
    assert waveform is not None
    assert np.argmax(np.abs(waveform) > 0.1) / SAMPLE_RATE_HZ == pytest.approx(1.0, abs=0.002)


def test_same_input_same_bytes(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4"):
        media.write_video(tmp_path / name, counting_frames(30), click_at(0.2, 1.2))
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), length=st.integers(1, 9000), codec=st.sampled_from(["flac", "wav"]))
def test_audio_bytes_are_lossless_to_16_bits(seed: int, length: int, codec: str) -> None:
    waveform = np.random.default_rng(seed).uniform(-1, 1, length).astype(np.float32)
    back = media.read_waveform(io.BytesIO(media.encode_audio(waveform, codec=codec)))
    assert back is not None
    assert back.shape == waveform.shape
    assert np.abs(back - waveform).max() <= 1 / 32768


@pytest.mark.parametrize("content", [b"", b"not a video\n" * 100])
def test_what_is_no_video_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "talk.mp4"
    path.write_bytes(content)
    with pytest.raises(Reject, match=r"unreadable: talk\.mp4"):
        media.probe(path)


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    def broken() -> "media.Iterator[np.ndarray]":
        yield counting_frames(1)[0]
        raise RuntimeError("renderer broke")

    with pytest.raises(RuntimeError, match="renderer broke"):
        media.write_video(tmp_path / "a.mp4", broken())
    assert list(tmp_path.iterdir()) == []


def test_fit_length_cuts_and_pads() -> None:
    assert media.fit_length(np.ones(5, np.float32), 3).tolist() == [1, 1, 1]
    assert media.fit_length(np.ones(2, np.float32), 4).tolist() == [1, 1, 0, 0]
