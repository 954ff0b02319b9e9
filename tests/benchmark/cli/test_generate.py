"""disentbench generate: any sound and any picture, one clear line for what cannot be used, nothing half written."""

import os
import signal
import wave
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from benchmark.cli import _generating, main
from chdtf.errors import UserError
from chdtf.media import probe, read_frames, read_waveform, write_video
from chdtf.sample.canvas import portrait
from disenttalk_ref.motion import Motion


def _write_wave(path: Path, samples: np.ndarray, rate_hz: int = 16_000) -> Path:
    """16-bit WAV of (S,) or (S, channels) in [-1, 1]."""
    with wave.open(str(path), "wb") as stream:
        stream.setnchannels(1 if samples.ndim == 1 else samples.shape[1])
        stream.setsampwidth(2)
        stream.setframerate(rate_hz)
        stream.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return path


def _tone(seconds: float, rate_hz: int = 16_000) -> np.ndarray:
    return 0.3 * np.sin(np.arange(round(seconds * rate_hz)) * 2 * np.pi * 220 / rate_hz)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    Image.fromarray(portrait("grace_hopper")).save(folder / "face.png")
    _write_wave(folder / "speech.wav", _tone(0.1))
    _write_wave(folder / "empty.wav", _tone(0))
    _write_wave(folder / "short.wav", _tone(0.03))
    (folder / "text.wav").write_text("no sound at all")
    Image.new("RGB", (80, 80), (120, 120, 120)).save(folder / "wall.png")
    Image.fromarray(portrait("grace_hopper")).resize((32, 37)).save(folder / "tiny.png")
    (folder / "half.png").write_bytes((folder / "face.png").read_bytes()[:5000])
    (folder / "other.safetensors").write_bytes(b"nothing of the kind")
    write_video(folder / "mute.mp4", np.full((4, 64, 64, 3), 100, np.uint8))
    return folder


class _Stub:
    """Stands for the generator: keeps what it is asked, draws grey frames."""

    def __init__(self) -> None:
        self.waveform = np.zeros(0, np.float32)
        self.drawn = 0
        self.yaw = 0.0
        self.fails: Exception | None = None
        self.stopped = False

    def motion(self, waveform: np.ndarray, num_frames: int, seed: int, control: Any) -> Motion:
        self.waveform = waveform
        return Motion(np.zeros((num_frames, 64), np.float32), np.zeros((num_frames, 6), np.float32))

    def prepare(self, image: np.ndarray) -> Any:
        assert image.shape == (256, 256, 3)
        return SimpleNamespace(source=SimpleNamespace(rotation=np.array([[0.0, self.yaw, 0.0]])))

    def draw(self, portrait: Any, motion: Motion) -> Iterator[np.ndarray]:
        for k in range(motion.num_frames):
            if self.fails is not None and k == 3:
                raise self.fails
            if self.stopped and k == 3:
                os.kill(os.getpid(), signal.SIGTERM)
            self.drawn += 1
            yield np.full((256, 256, 3), k % 255, np.uint8)


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> _Stub:
    made = _Stub()
    monkeypatch.setattr(_generating, "_generator", lambda command: made)
    return made


def _generate(image: Path, audio: Path, out: Path, *more: str) -> int:
    return main(["generate", "--image", str(image), "--audio", str(audio), "--out", str(out), *more])


def test_a_photo_speaks_for_a_tenth_of_a_second(
    files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "folder" / "talk.mp4"
    assert _generate(files / "face.png", files / "speech.wav", out, "--steps", "2", "--lip-weight", "1.2") == 0
    info = probe(out)
    assert (info.width, info.height, info.fps) == (256, 256, 25)
    with av.open(str(out)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 2
        assert container.metadata["comment"].startswith("synthetic")
    sound = read_waveform(out)
    assert sound is not None
    assert len(sound) >= 2 * 640
    said = capsys.readouterr().out
    assert "2 frames, 0.08 s, synthetic" in said
    assert said.count("frames/s") == 2  # motion and rendering apart
    assert [path.name for path in out.parent.iterdir()] == ["talk.mp4"]


@pytest.mark.parametrize(
    ("samples", "rate_hz"),
    [
        (np.stack([_tone(0.5), -0.5 * _tone(0.5)], axis=1), 16_000),  # stereo
        (_tone(0.5, 8000), 8000),
        (np.clip(20 * _tone(0.5), -1, 1), 16_000),  # clipped
        (np.zeros(8000), 16_000),
        (_tone(0.5, 44_100), 44_100),
    ],
    ids=["stereo", "8 kHz", "clipped", "silent", "44.1 kHz"],
)
def test_any_sound_gives_its_frames(
    stub: _Stub, files: Path, tmp_path: Path, samples: np.ndarray, rate_hz: int
) -> None:
    audio = _write_wave(tmp_path / "a.wav", samples, rate_hz)
    assert _generate(files / "face.png", audio, tmp_path / "out.mp4", "--crop", "whole") == 0
    assert stub.drawn == 12
    assert abs(len(stub.waveform) - 8000) <= 16
    mono = samples if samples.ndim == 1 else samples.mean(1)
    assert stub.waveform.std() == pytest.approx(mono.std(), abs=0.03)


def test_the_mark_is_drawn_when_it_is_asked_for(stub: _Stub, files: Path, tmp_path: Path) -> None:
    shown = []
    for more in ((), ("--watermark",)):
        assert _generate(files / "face.png", files / "speech.wav", tmp_path / "out.mp4", "--crop", "whole", *more) == 0
        shown.append(read_frames(tmp_path / "out.mp4").astype(int))
    assert shown[1][:, 230:, :60].max() > shown[0].max() + 60  # white letters in the lower left corner
    assert np.abs(shown[1] - shown[0])[:, :200].max() < 8


def test_an_hour_is_drawn_frame_by_frame(stub: _Stub, files: Path) -> None:
    """Nothing of a frame stays when the next is drawn."""
    watch = _generating.Stopwatch()
    hour = Motion(np.zeros((90_000, 64), np.float32), np.zeros((90_000, 6), np.float32))
    frames = watch.timed(stub.draw(None, hour))
    for expected in range(1, 4):
        next(frames)
        assert stub.drawn == expected
    assert watch.seconds > 0


MISTAKES = [
    ({"image": "none.png"}, "--image", "no such file"),
    ({"audio": "none.wav"}, "--audio", "no such file"),
    ({"image": "."}, "--image", "is a folder"),
    ({"audio": "empty.wav"}, "empty.wav", "holds 0.000 s of sound"),
    ({"audio": "short.wav"}, "short.wav", "holds 0.030 s of sound; one frame takes 0.04 s"),
    ({"audio": "text.wav"}, "text.wav", "no sound can be read"),
    ({"audio": "mute.mp4"}, "mute.mp4", "has no audio stream"),
    ({"audio": "face.png"}, "face.png", "has no audio stream"),
    ({"image": "wall.png"}, "wall.png", "no face found in 80x80 px"),
    ({"image": "tiny.png"}, "tiny.png", "px"),
    ({"image": "half.png"}, "half.png", "not a picture that can be read"),
    ({"image": "text.wav"}, "text.wav", "neither a picture nor a video"),
    ({"image": "mute.mp4"}, "mute.mp4", "no face found in 64x64 px"),
    ({"out": "."}, "--out", "ends in .mp4"),
    ({"out": "talk.avi"}, "talk.avi", "ends in .mp4"),
    ({"more": ["--pose-scale", "-1"]}, "--pose-scale -1", "from 0 to 3"),
    ({"more": ["--guidance", "nan"]}, "--guidance nan", "from 0 to 10"),
    ({"more": ["--steps", "0"]}, "--steps 0", "once or more"),
    ({"more": ["--lip-weight", "9"]}, "lip weight 9", "from 0"),
    ({"more": ["--video-driven", "--pose", "still"]}, "--video-driven", "leave out"),
    ({"more": ["--eyes-from", "none.mp4"]}, "--eyes-from none.mp4", "no such file"),
]


@pytest.mark.parametrize(("wrong", "named", "said"), MISTAKES)
def test_mistakes_are_one_line_and_leave_nothing(
    stub: _Stub,
    files: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    wrong: dict[str, Any],
    named: str,
    said: str,
) -> None:
    image, audio = files / wrong.get("image", "face.png"), files / wrong.get("audio", "speech.wav")
    out = tmp_path / wrong.get("out", "talk.mp4")
    assert _generate(image, audio, out, *wrong.get("more", [])) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("disentbench: ")]
    assert len(lines) == 1
    assert named in lines[0]
    assert said in lines[0]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--checkpoint", "other.safetensors"], "not a readable checkpoint"),
        (["--checkpoint", "none.safetensors"], "no such checkpoint"),
        (["--renderer", "pencil"], "pencil"),
        (["--sampler", "guess", "--steps", "1"], "guess"),
        (["--device", "cuda:7"], "--device cuda:7: not to be had here"),
        (["--device", "abacus"], "--device abacus: not to be had here"),
    ],
)
def test_what_the_model_lacks_is_one_line(
    files: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    more: list[str],
    said: str,
) -> None:
    monkeypatch.setattr(_generating, "_source", lambda *_: None)
    monkeypatch.chdir(files)
    assert _generate(files / "face.png", files / "speech.wav", tmp_path / "talk.mp4", *more) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_picture_cannot_be_video_driven(
    stub: _Stub, files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _generate(files / "face.png", files / "speech.wav", tmp_path / "a.mp4", "--video-driven") == 2
    assert "face.png: a picture; --video-driven takes a video" in capsys.readouterr().err


def test_a_face_in_profile_is_refused(
    stub: _Stub, files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stub.yaw = np.radians(-58)
    assert _generate(files / "face.png", files / "speech.wav", tmp_path / "a.mp4") == 2
    assert "face.png: the face is turned 58 degrees away from the viewer" in capsys.readouterr().err
    stub.yaw = np.radians(49)
    assert _generate(files / "face.png", files / "speech.wav", tmp_path / "a.mp4") == 0


def test_out_must_not_be_a_folder_or_an_input(
    stub: _Stub, files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.mp4").mkdir()
    assert _generate(files / "face.png", files / "speech.wav", tmp_path / "a.mp4") == 2
    assert "is a folder" in capsys.readouterr().err
    before = (files / "mute.mp4").read_bytes()
    assert _generate(files / "mute.mp4", files / "speech.wav", files / "mute.mp4") == 2
    assert "would be lost" in capsys.readouterr().err
    assert (files / "mute.mp4").read_bytes() == before


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), 2, "out of memory on cpu; try"),
        (MemoryError(), 2, "shorter audio"),
        (UserError("the face is lost"), 2, "the face is lost"),
        (RuntimeError("shapes differ"), 1, "this is a bug"),
    ],
)
def test_a_failure_in_the_middle_leaves_the_old_file(
    stub: _Stub,
    files: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
    status: int,
    said: str,
) -> None:
    stub.fails = error
    out = tmp_path / "talk.mp4"
    out.write_bytes(b"the old one")
    audio = _write_wave(tmp_path / "a.wav", _tone(0.5))
    assert _generate(files / "face.png", audio, out, "--crop", "whole") == status
    assert said in capsys.readouterr().err
    assert out.read_bytes() == b"the old one"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.wav", "talk.mp4"]


def test_termination_leaves_the_old_file_and_nothing_beside_it(
    stub: _Stub, files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stub.stopped = True
    out = tmp_path / "talk.mp4"
    out.write_bytes(b"the old one")
    audio = _write_wave(tmp_path / "a.wav", _tone(0.5))
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)  # Ray, where it ran in this process, has left its own
    try:
        assert _generate(files / "face.png", audio, out, "--crop", "whole") == 143
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, before)
    assert capsys.readouterr().err.splitlines()[-1].startswith("disentbench: terminated; ")
    assert stub.drawn == 3
    assert out.read_bytes() == b"the old one"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.wav", "talk.mp4"]
