"""disentbench stream: sound from a file or standard input, latency stated, nothing half written."""

import io
import re
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
from PIL import Image

from benchmark.cli import main
from benchmark.cli._streaming import Clock, Sound, raw_pieces
from chdtf.media import encode_audio, read_frames, read_waveform
from chdtf.sample.canvas import portrait


def _tone(samples: int) -> np.ndarray:
    return (0.3 * np.sin(np.arange(samples) * 0.1)).astype(np.float32)


@pytest.fixture(scope="module")
def face(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("face") / "face.png"
    Image.fromarray(portrait("grace_hopper")).save(path)
    return path


@pytest.mark.slow
def test_a_file_and_the_same_sound_on_standard_input_give_the_same_frames(
    face: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    sound = _tone(12 * 640)
    (tmp_path / "speech.wav").write_bytes(encode_audio(sound, codec="wav"))
    common = ["stream", "--image", str(face), "--steps", "1"]
    heard = ["--audio", str(tmp_path / "speech.wav"), "--chunk-ms", "100"]
    assert main([*common, *heard, "--out", str(tmp_path / "file.mp4")]) == 0
    raw = np.round(sound * 32768).astype("<i2").tobytes()
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(raw), isatty=lambda: False))
    assert main([*common, "--audio", "-", "--out", str(tmp_path / "raw.mp4")]) == 0
    frames = read_frames(tmp_path / "file.mp4")
    assert frames.shape == (12, 256, 256, 3)
    gap = np.abs(frames.astype(int) - read_frames(tmp_path / "raw.mp4"))
    assert gap.mean() < 0.5  # features are rounded otherwise when they come in other pieces
    spoken = read_waveform(tmp_path / "file.mp4")
    assert spoken is not None
    assert np.corrcoef(spoken[: len(sound)], sound)[0, 1] > 0.95
    with av.open(str(tmp_path / "file.mp4")) as container:
        assert container.metadata["comment"].startswith("synthetic")
    said = capsys.readouterr().out
    assert re.search(r"first frame \d+\.\d+ s after", said)
    assert re.search(r"latency of a frame: mean \d+\.\d+ s, worst \d+\.\d+ s \(look-ahead alone: 0\.3\d+ s", said)
    assert re.search(r"real-time factor \d+\.\d+", said)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--audio", "none.wav"], "none.wav: no such file"),
        (["--audio", "-", "--pace"], "standard input sets its own pace"),
        (["--audio", "-", "--chunk-ms", "0"], "--chunk-ms 0: give 1 to 10,000 ms"),
        (["--audio", "-", "--out", "video.avi"], "video.avi: name a file that ends in .mp4"),
        (["--audio", "-", "--steps", "0"], "steps 0: give 1 or more"),
        (["--audio", "-", "--steps", "1"], "holds less than one frame of sound"),
    ],
)
def test_mistakes_are_told_in_one_line_and_nothing_is_written(
    face: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(b"\0" * 600), isatty=lambda: False))
    assert main(["stream", "--image", str(face), *arguments]) == 2
    assert message in capsys.readouterr().err.replace("\n", " ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_raw_sound_is_cut_and_scaled(size: int):
    values = np.array([0, 16384, -32768, 32767, 5], "<i2")
    pieces = list(raw_pieces(io.BytesIO(values.tobytes() + b"\x01"), size))
    np.testing.assert_array_equal(np.concatenate(pieces), values / 32768)


def test_sound_given_piece_by_piece_is_one_array():
    sound, whole = Sound(), np.round(_tone(1000) * 32768) / 32768
    for begin in range(0, 1000, 300):
        sound.add(whole[begin : begin + 300])
    np.testing.assert_allclose(np.asarray(sound, dtype=np.float32), whole, atol=1e-7)
    assert sound.num_samples == 1000


def test_latency_counts_from_the_end_of_a_frames_own_sound(monkeypatch: pytest.MonkeyPatch):
    """One second of sound, then the first frame after 0.2 s of work, the second after 0.1 s more."""
    now = [100.0]
    monkeypatch.setattr("benchmark.cli._streaming.time", SimpleNamespace(perf_counter=lambda: now[0], sleep=None))
    clock = Clock(pace=False)
    for _ in clock.pieces(iter([np.zeros(16_000, np.float32)])):
        now[0] += 0.2
        clock.drawn()
        now[0] += 0.1
        clock.drawn()
    assert clock.late_s == pytest.approx([1 - 0.04 + 0.2, 1 - 0.08 + 0.3])
    assert "first frame 1.200 s" in clock.report(0.367)[0]
    assert "real-time factor 0.300" in clock.report(0.367)[2]
