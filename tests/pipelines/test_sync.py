"""Lips and sound stay together from the source to the clip, whatever the source's rate, container and start times.

The offset is measured twice with the same estimator: in the source by its timestamps alone, read here with PyAV, and in
the clip by counting frames (25 a second) and samples (16,000 a second).
"""

import fractions
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from scipy.signal import fftconvolve

from chdtf import media
from chdtf.engine.shards import Workspace
from chdtf.faces import mouth_opening, track_landmarks
from chdtf.schema import FPS, SAMPLE_RATE_HZ
from pipelines.stages.resample import Stage

BOUND_S = 0.01  # a quarter of a frame
LENGTH_S = 5.0
SIZE_PX = 96


def envelope(time_s: np.ndarray) -> np.ndarray:
    """How far the mouth is open and how loud the sound is, 0 to 1: syllables of uneven length."""
    rng = np.random.default_rng(3)
    begin = np.cumsum(rng.uniform(0.14, 0.42, 40)) + 0.1
    length, height = rng.uniform(0.1, 0.3, 40), rng.uniform(0.4, 1.0, 40)
    begun = slice(None, max(1, int(np.searchsorted(begin, np.max(time_s)))))  # those to come are 0
    phase = (np.asarray(time_s)[..., None] - begin[begun]) / length[begun]
    return np.max(height[begun] * np.sin(np.pi * np.clip(phase, 0, 1)) ** 2, axis=-1)


def picture(time_s: float) -> np.ndarray:
    """A face of a kind: a mouth whose height follows the envelope."""
    image = np.full((SIZE_PX, SIZE_PX, 3), 170, np.uint8)
    half = 1 + 30 * float(envelope(np.array(time_s)))
    y = np.abs(np.arange(SIZE_PX) - 48)
    image[:, 28:68] = np.clip(170 * (y - half + 1), 0, 170).astype(np.uint8)[:, None, None]  # anti-aliased
    return image


def opening(images: np.ndarray) -> np.ndarray:
    """Share of dark in the middle of pictures (T, H, W, 3)."""
    side = images.shape[2]
    return 1 - images[:, :, side * 36 // 96 : side * 60 // 96].mean((1, 2, 3)) / 170


def loudness(wave: np.ndarray, rate_hz: int) -> np.ndarray:
    """Smoothed magnitude, at the same rate."""
    at_s = np.arange(-round(0.04 * rate_hz), round(0.04 * rate_hz) + 1) / rate_hz
    kernel = np.exp(-0.5 * (at_s / 0.01) ** 2)
    out: np.ndarray = fftconvolve(np.abs(wave).astype(np.float64), kernel / kernel.sum(), mode="same")
    return out


def lag_s(first: tuple[np.ndarray, np.ndarray], second: tuple[np.ndarray, np.ndarray]) -> float:
    """How much later the second comes than the first, each (times, values): the peak of their correlation."""
    grid_s = np.arange(first[0][0] + 0.3, first[0][-1] - 0.3, 0.002)
    one = np.interp(grid_s, *first)
    by_s = np.arange(-0.25, 0.2501, 0.002)
    found = [np.corrcoef(one, np.interp(grid_s + by, *second))[0, 1] for by in by_s]
    best = int(np.argmax(found))
    assert 0 < best < len(by_s) - 1
    assert found[best] > 0.4
    a, b, c = found[best - 1 : best + 2]
    return float(by_s[best] + 0.002 * (a - c) / (2 * (a - 2 * b + c)))


def write(path: Path, times_s: np.ndarray, sound_late_s: float, sound_from_s: float, codecs: tuple[str, str]) -> None:
    """A source whose frames are shown at `times_s`, and whose sound begins at `sound_from_s`, on the same clock."""
    rate_hz = 44100
    sound_s = sound_from_s + np.arange(round((times_s[-1] - sound_from_s) * rate_hz)) / rate_hz
    wave = (0.6 * envelope(sound_s - sound_late_s) * np.sin(2 * np.pi * 330 * sound_s)).astype(np.float32)
    ticks = 1000 if path.suffix == ".mkv" else 90000
    constant = fractions.Fraction(1 / float(np.diff(times_s).mean())).limit_denominator(1001)
    with av.open(str(path), "w") as container:
        video: Any = container.add_stream(codecs[0], rate=constant)
        video.width = video.height = SIZE_PX
        video.pix_fmt = "yuv420p"
        if path.suffix != ".avi":
            video.codec_context.time_base = fractions.Fraction(1, ticks)
        audio: Any = container.add_stream(codecs[1], rate=rate_hz, layout="mono")
        for number, time_s in enumerate(times_s):
            frame = av.VideoFrame.from_ndarray(picture(time_s), format="rgb24")
            if path.suffix == ".avi":
                frame.pts, frame.time_base = number, 1 / constant
            else:
                frame.pts, frame.time_base = round(time_s * ticks), fractions.Fraction(1, ticks)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        for begin in range(0, len(wave), 1024):
            part = wave[None, begin : begin + 1024]
            kind = audio.codec_context.format.name
            if kind == "s16":
                part = (part * 32767).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(part), format=kind, layout="mono")
            frame.sample_rate, frame.time_base = rate_hz, fractions.Fraction(1, rate_hz)
            frame.pts = round(sound_from_s * rate_hz) + begin
            container.mux(audio.encode(frame))
        container.mux(audio.encode(None))


def read_plainly(path: Path) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Times and frames, and times and loudness of the sound: what PyAV says, nothing in between."""
    with av.open(str(path)) as container:
        pairs = [(frame.time, frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]
    with av.open(str(path)) as container:
        sound = list(container.decode(audio=0))
    wave = np.concatenate([frame.to_ndarray().reshape(-1, order="F") for frame in sound])
    scale = 32768.0 if wave.dtype == np.int16 else 1.0
    wave = wave.reshape(-1, len(sound[0].layout.channels)).mean(1) / scale
    times, images = zip(*pairs, strict=True)
    rate_hz = sound[0].sample_rate
    sound_s = float(sound[0].time) + np.arange(len(wave)) / rate_hz
    return np.array(times), np.stack(images), (sound_s, loudness(wave, rate_hz))


def resampled(folder: Path, source: Path, begin_s: float, end_s: float) -> tuple[Any, np.ndarray, Any]:
    """The same of the clip, by counting."""
    row = {"source": source.name, "clip_id": "a_000", "clip_start_s": begin_s, "clip_end_s": end_s}
    (out,) = Stage().apply({**row, "box": [0, 0, 1, 1]}, None, Workspace(folder, "resample", "0" * 8))
    wave = media.read_waveform(folder / out["audio"])
    frames = media.read_frames(folder / out["video"])
    assert wave is not None
    assert len(wave) == 640 * len(frames)
    sound = np.arange(len(wave)) / SAMPLE_RATE_HZ, loudness(wave, SAMPLE_RATE_HZ)
    return np.arange(len(frames)) / FPS, frames, sound


SOURCES = {  # rate (0: variable), first frame at, first sample at, sound late by; codecs
    "a22.mp4": (22.13, 0.0, 0.0, 0.0, ("libx264", "aac")),
    "a24_video_later.mp4": (23.976, 0.35, 0.0, 0.07, ("libx264", "aac")),
    "a25.mkv": (25.0, 0.0, 0.0, -0.06, ("libx264", "aac")),
    "a2997_sound_later.mkv": (30000 / 1001, 0.1, 0.45, 0.0, ("libx264", "libopus")),
    "a2997.mp4": (30000 / 1001, 0.5, 0.2, 0.04, ("libx264", "aac")),
    "a50.mp4": (50.0, 0.0, 0.25, 0.0, ("libx264", "aac")),
    "a60.mkv": (60.0, 0.2, 0.0, 0.0, ("libx264", "flac")),
    "a30.avi": (30.0, 0.0, 0.0, 0.03, ("mpeg4", "pcm_s16le")),
    "a50.avi": (50.0, 0.0, 0.0, 0.0, ("mpeg4", "pcm_s16le")),
    "variable.mkv": (0.0, 0.3, 0.1, 0.0, ("libx264", "aac")),
    "variable.mp4": (0.0, 0.1, 0.3, -0.05, ("libx264", "aac")),
}


@pytest.mark.parametrize("name", SOURCES)
def test_the_offset_is_that_of_the_source(tmp_path: Path, name: str) -> None:
    fps, first_s, sound_from_s, late_s, codecs = SOURCES[name]
    gaps = np.random.default_rng(0).choice([1 / 60, 1 / 30, 0.05, 0.1], 150) if fps == 0 else np.full(400, 1 / fps)
    times_s = first_s + np.cumsum([0, *gaps])
    times_s = times_s[times_s < LENGTH_S]
    source = tmp_path / name
    write(source, times_s, late_s, sound_from_s, codecs if codecs[1] != "libopus" else ("libx264", "aac"))
    shown_s, images, sound = read_plainly(source)
    before_s = lag_s((shown_s, opening(images)), sound)
    assert before_s == pytest.approx(late_s, abs=0.004), "what was planted"
    for begin_s, end_s in ((0.0, LENGTH_S), (1.234, LENGTH_S - 0.7)):
        clip_s, frames, sound = resampled(tmp_path, source, begin_s, end_s)
        after_s = lag_s((clip_s, opening(frames)), sound)
        assert after_s == pytest.approx(before_s, abs=BOUND_S)


def test_a_gap_in_the_sound_is_silence_and_moves_nothing(tmp_path: Path) -> None:
    """Half a second of packets is missing; what follows keeps its time."""
    times_s = np.arange(0, LENGTH_S, 1 / 25)
    write(tmp_path / "whole.mkv", times_s, 0.0, 0.0, ("mpeg4", "flac"))
    with av.open(str(tmp_path / "whole.mkv")) as given, av.open(str(tmp_path / "gap.mkv"), "w") as container:
        streams = {i: container.add_stream_from_template(given.streams[i]) for i in (0, 1)}
        for packet in given.demux():
            number = packet.stream.index
            if packet.dts is not None and not (number == 1 and 2.0 <= packet.pts * packet.time_base < 2.5):
                packet.stream = streams[number]
                container.mux(packet)
    whole, gap = (media.read_waveform(tmp_path / name) for name in ("whole.mkv", "gap.mkv"))
    assert whole is not None
    assert gap is not None
    assert len(gap) == pytest.approx(len(whole), abs=16)
    rate = SAMPLE_RATE_HZ
    assert np.abs(gap[round(2.12 * rate) : round(2.4 * rate)]).max() == 0
    after = slice(round(2.7 * rate), round(4.5 * rate))
    assert np.corrcoef(loudness(gap[after], rate), loudness(whole[after], rate))[0, 1] > 0.99


@pytest.mark.slow
@pytest.mark.parametrize("name", ["odd_fps_22.mp4", "mpeg4_50fps.mp4"])
def test_real_lips_keep_their_offset(shared: Path, tmp_path: Path, name: str) -> None:
    """Mouth opening by FaceMesh, and loudness, move by the same amount from the source to the clip.

    Their own offset is blurred (speech is not all mouth), so each is compared with itself; where it stands out, it is
    that of the source too.
    """
    source = tmp_path / name
    source.write_bytes((shared / "data" / "hard" / name).read_bytes())
    shown_s, images, sound_before = read_plainly(source)
    lips_before = shown_s, mouth_opening(track_landmarks(media.resize(image, 256) for image in images))
    clip_s, frames, sound_after = resampled(tmp_path, source, 0.0, float(shown_s[-1] - shown_s[0]))
    lips_after = clip_s, mouth_opening(track_landmarks(frames))
    assert lag_s(lips_after, lips_before) == pytest.approx(lag_s(sound_after, sound_before), abs=BOUND_S)
    if name == "mpeg4_50fps.mp4":
        assert lag_s(lips_after, sound_after) == pytest.approx(lag_s(lips_before, sound_before), abs=2 * BOUND_S)
