import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import torch

from benchmark.cli import main
from chdtf.media import write_video
from chdtf.morphable.exchange.files import read_bfm
from chdtf.sample.canvas import portrait

Run = Callable[..., int]


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six frames of a face, of which the third and fourth are grey, at 25 fps."""
    face = portrait("eileen_collins")[:256, 96:352]
    grey = np.full_like(face, 128)
    path = tmp_path_factory.mktemp("videos") / "astronaut.mp4"
    write_video(path, iter([face, face, grey, grey, face, face]))
    return path


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that stands for the checkpoint; the network beside it counts the frames that it saw."""

    class Counting:
        seen = 0

        def __call__(self, images: torch.Tensor) -> torch.Tensor:
            found = torch.zeros(len(images), 257)
            found[:, 80] = torch.arange(Counting.seen + 1, Counting.seen + 1 + len(images)).float()
            Counting.seen += len(images)
            return found

    monkeypatch.setattr("chdtf.morphable.regression.network.load_network", lambda path, device: Counting())
    monkeypatch.setenv("DISENTBENCH_WEIGHTS", str(tmp_path / "none"))
    path = tmp_path / "epoch_20.pth"
    path.write_bytes(b"of 2023")
    return path


@pytest.fixture
def regress(weights: Path, tmp_path: Path) -> Run:
    def run(*arguments: object, out: Path = tmp_path / "out") -> int:
        flags = ["--weights", str(weights), "--out", str(out)]
        return main(["coeffs", "regress", *map(str, arguments), *flags])

    return run


def test_a_video_becomes_a_mat_with_a_gap_where_it_has_no_face(
    regress: Run, video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
):
    assert regress(video, "--batch", 3) == 0
    arrays = scipy.io.loadmat(tmp_path / "out" / "astronaut.mat")
    assert arrays["coeff"].shape == (6, 257)
    assert arrays["transform_params"].shape == (6, 5)
    found = read_bfm(tmp_path / "out" / "astronaut.mat")
    missing = int((~found.valid).sum())
    assert missing in (1, 2)  # MediaPipe may hold a face for a frame
    assert not found.valid[3]
    assert found.valid[[0, 1, 5]].all()
    assert found.expression[found.valid, 0].tolist() == list(range(1, 7 - missing))
    np.testing.assert_array_equal(found.transform_params[0, :2], [256, 256])
    line = capsys.readouterr().out.splitlines()[-1]
    assert f"astronaut.mat: 6 frames at 25 fps, {missing} without a face (NaN); " in line
    assert "before 25 April 2023" in caplog.text


def test_what_is_written_is_kept_unless_asked_for_again(regress: Run, video: Path, tmp_path: Path):
    assert regress(video) == 0
    file = tmp_path / "out" / "astronaut.mat"
    before = file.stat().st_mtime_ns
    assert regress(video) == 0
    assert file.stat().st_mtime_ns == before
    assert regress(video, "--again", "--gaps", "hold") == 0
    held = read_bfm(file)
    assert held.valid.all()
    np.testing.assert_array_equal(held.expression[3], held.expression[2] if held.valid[2] else held.expression[1])


def test_another_checkpoint_is_not_mixed_in(
    regress: Run, video: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert regress(video) == 0
    record = json.loads((tmp_path / "out" / "regress.json").read_text())
    assert len(record["weights_sha256"]) == 64
    weights.write_bytes(b"another")
    assert regress(video) == 2
    assert "made with other weights or points" in capsys.readouterr().err


def test_clips_of_a_dataset_use_its_landmarks(regress: Run, dataset: Path, tmp_path: Path):
    from chdtf.clip import read_clips

    assert regress(dataset) == 0
    clips = read_clips(dataset)
    assert clips
    for clip in clips:
        found = read_bfm(tmp_path / "out" / f"{clip.clip_id}.mat")
        assert found.num_frames == clip.num_frames
        np.testing.assert_array_equal(found.valid, np.isfinite(clip.landmarks()).all((1, 2)))


def test_a_clip_without_a_face_fails_and_the_others_go_on(
    regress: Run,
    video: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
):
    blank = tmp_path / "blank.mp4"
    write_video(blank, iter([np.full((64, 64, 3), 90, np.uint8)] * 3))
    assert regress(blank, video) == 1
    assert "blank: failed, no face in any of 3 frames" in capsys.readouterr().out
    assert "blank.mp4: frames are 64 x 64 px" in caplog.text
    assert "astronaut.mp4: frames" not in caplog.text
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["astronaut.mat", "regress.json"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no video or dataset given"),
        (["none.mp4"], "none.mp4: no such file"),
        (["{video}", "{video}"], "a second clip called 'astronaut'"),
        (["{video}", "--batch", "0"], "--batch 0: must be 1 or more"),
        (["{video}", "--points", "none.mat"], "none.mat: no such file"),
        (["{weights}"], "not a video that can be read"),
        (["{folder}"], "holds no dataset"),
    ],
)
def test_mistakes_are_told_in_one_line(
    regress: Run,
    video: Path,
    weights: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
):
    filled = [text.format(video=video, weights=weights, folder=video.parent) for text in arguments]
    assert regress(*filled) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len([line for line in error.splitlines() if line.startswith("disentbench: ")]) == 1
    assert not (tmp_path / "out").exists()


def test_a_place_where_nothing_can_be_written_is_told_first(
    video: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "file").touch()
    (tmp_path / "closed").mkdir()
    monkeypatch.setattr("os.access", lambda path, mode: Path(path).name != "closed")  # tests may run as root
    for out, said in (("file", "is a file"), ("file/below", "cannot be made"), ("closed", "nothing can be written")):
        arguments = ["--weights", str(weights), "--out", str(tmp_path / out)]
        assert main(["coeffs", "regress", str(video), *arguments]) == 2
        assert f"{out}: {said}" in capsys.readouterr().err
    for verb, name in (("overlay", "o.mp4"), ("plot", "p.png")):
        source = [str(video)] if verb == "overlay" else []
        assert main(["coeffs", verb, *source, "--out", str(tmp_path / "closed" / name)]) == 2
        assert "nothing can be written to the folder" in capsys.readouterr().err


def test_a_missing_checkpoint_says_where_to_get_it(video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["coeffs", "regress", str(video), "--weights", "none.pth", "--out", str(tmp_path / "out")]) == 2
    assert "none.pth: no such file; the checkpoint of 25 April 2023" in capsys.readouterr().err
