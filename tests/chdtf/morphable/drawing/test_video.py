import fractions
from pathlib import Path

import av
import numpy as np
import pytest

from chdtf.media import frames, probe, read_waveform, write_video
from chdtf.morphable.drawing.video import add_sound, constant_rate

RATE_HZ = 16_000


def pictures(count: int) -> list[np.ndarray]:
    return [np.full((64, 64, 3), 4 * k, np.uint8) for k in range(count)]


def chirp(seconds: float) -> np.ndarray:
    time_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return (0.4 * np.sin(2 * np.pi * (200 + 300 * time_s) * time_s)).astype(np.float32)


def write_at(path: Path, times_ms: list[int]) -> None:
    """A video whose frames are shown at these times."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width = stream.height = 64
        stream.time_base = stream.codec_context.time_base = fractions.Fraction(1, 1000)
        for number, time_ms in enumerate(times_ms):
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 4 * number, np.uint8), format="rgb24")
            frame.pts, frame.time_base = time_ms, stream.codec_context.time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


@pytest.mark.parametrize("fps", [12.5, 25, 30000 / 1001, 50])
def test_a_constant_rate_is_kept_and_every_frame_with_it(tmp_path: Path, fps: float):
    path = tmp_path / "a.mp4"
    write_video(path, pictures(40), fps=fps)
    found, varies = constant_rate(path)
    assert found == pytest.approx(fps, rel=1e-4)
    assert not varies
    assert sum(1 for _ in frames(path, found)) == 40


def test_a_rate_that_varies_is_found(tmp_path: Path):
    write_at(tmp_path / "a.mp4", [0, 40, 80, 120, 160, 700, 740, 780, 820, 1500, 1540, 1580])
    fps, varies = constant_rate(tmp_path / "a.mp4")
    assert varies
    assert fps == pytest.approx(25, abs=0.1)


def test_one_frame_has_a_rate(tmp_path: Path):
    write_video(tmp_path / "a.mp4", pictures(1))
    assert constant_rate(tmp_path / "a.mp4") == (pytest.approx(25), False)


@pytest.mark.parametrize("codec", ["aac", "pcm_s16le"])
def test_sound_comes_along_in_time(tmp_path: Path, codec: str):
    """As it is where an mp4 holds it, encoded anew where not; never shifted."""
    source, silent, out = tmp_path / "s.mkv", tmp_path / "silent.mp4", tmp_path / "out.mp4"
    write_video(tmp_path / "s.mp4", pictures(50), chirp(2))
    remux(tmp_path / "s.mp4", source, codec)
    write_video(silent, pictures(50))
    add_sound(silent, source, out)
    before, after = read_waveform(source), read_waveform(out)
    assert before is not None
    assert after is not None
    assert probe(out).audio_codec == "aac"
    assert sum(1 for _ in frames(out)) == 50
    length = min(len(before), len(after), 2 * RATE_HZ)
    assert length > 1.9 * RATE_HZ
    apart = np.abs(before[:length] - after[:length])[800:-800].mean()
    assert apart < (1e-6 if codec == "aac" else 0.02)


def remux(source: Path, target: Path, codec: str) -> None:
    with av.open(str(source)) as given, av.open(str(target), "w") as container:
        video = container.add_stream_from_template(given.streams.video[0])
        copied = codec == "aac"
        if copied:
            audio = container.add_stream_from_template(given.streams.audio[0])
        else:
            audio = container.add_stream(codec, rate=RATE_HZ, layout="mono")
        for packet in given.demux(given.streams.video[0], given.streams.audio[0]):
            if packet.stream.type == "video" and packet.dts is not None:
                packet.stream = video
                container.mux(packet)
            elif packet.stream.type == "audio" and copied and packet.dts is not None:
                packet.stream = audio
                container.mux(packet)
            elif packet.stream.type == "audio" and not copied:
                for frame in packet.decode():
                    container.mux(audio.encode(frame))
        if not copied:
            container.mux(audio.encode(None))


def test_a_silent_video_stays_silent(tmp_path: Path):
    write_video(tmp_path / "a.mp4", pictures(3))
    add_sound(tmp_path / "a.mp4", tmp_path / "a.mp4", tmp_path / "b.mp4")
    assert probe(tmp_path / "b.mp4").audio_codec is None
    assert sum(1 for _ in frames(tmp_path / "b.mp4")) == 3
