"""disentbench score: any folder of videos, by file name."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from benchmark.cli import main
from benchmark.clip_score import read_scores
from benchmark.normalise import AS_IS
from chdtf import media


def write(path: Path, level: int, num_frames: int = 10) -> None:
    path.parent.mkdir(exist_ok=True)
    media.write_video(path, [np.full((256, 256, 3), level, np.uint8)] * num_frames, np.zeros(num_frames * 640))


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Three references; a video for two of them, and one too many."""
    for number, name in enumerate(("ann_1", "ann_2", "bo_1")):
        write(tmp_path / "real" / f"{name}.mp4", 100 + 10 * number)
    for number, name in enumerate(("ann_1", "ann_2", "other")):
        write(tmp_path / "My method" / f"{name}.mkv", 104 + 10 * number)
    (tmp_path / "My method" / "log.txt").write_text("x")
    return tmp_path


def score(folders: Path, *more: str, out: str = "out") -> int:
    command = ["score", "--generated", str(folders / "My method"), "--reference", str(folders / "real")]
    return main([*command, "--out", str(folders / out), "--workers", "0", "--metric", "psnr", "cpbd", *more])


def table(out: Path) -> dict[str, dict[str, str]]:
    with (out / "leaderboard.csv").open(newline="", encoding="utf-8") as stream:
        return {row["method"]: row for row in csv.DictReader(stream)}


def test_a_folder_is_scored_and_what_does_not_pair_is_told(folders: Path, capsys: pytest.CaptureFixture[str]):
    assert score(folders, "--speaker-from-name", "--keep-normalised") == 1  # one clip has no video
    said = capsys.readouterr().out
    assert "3 clips expected, 2 generated" in said
    assert "missing (null in every column): 1 (bo_1)" in said
    assert "extra, without a reference and not scored: 1 (other)" in said
    assert "not videos, left alone: 1 (log.txt)" in said
    rows = table(folders / "out")
    assert list(rows) == ["gt", "My-method"]
    assert (rows["My-method"]["psnr_scored"], rows["My-method"]["psnr_expected"]) == ("2", "3")
    assert "missing_video: bo_1.mp4" in rows["My-method"]["psnr_reasons"]
    assert (rows["gt"]["psnr"], rows["gt"]["kind"]) == ("inf", "ground_truth")
    assert float(rows["My-method"]["psnr"]) == pytest.approx(20 * np.log10(255 / 4), abs=2)
    clips = read_scores(folders / "out" / "scores" / "My-method.parquet")
    assert [clip.speaker_id for clip in clips if clip.metric == "psnr"] == ["ann", "ann", "bo"]
    (record,) = (folders / "out" / "runs").glob("*.json")
    assert json.loads(record.read_text())["outcome"] == "incomplete"
    seen = AS_IS.footage(folders / "out" / "normalised" / "My-method" / "ann_1.mkv")
    meant = AS_IS.footage(folders / "My method" / "ann_1.mkv", folders / "real" / "ann_1.mp4")
    assert seen.normalised_sha256 == meant.normalised_sha256


def test_a_second_run_scores_nothing_and_writes_the_same(folders: Path, monkeypatch: pytest.MonkeyPatch):
    assert score(folders) == 1
    before = {path.name: path.read_bytes() for path in (folders / "out").glob("*.csv")}
    assert set(before) >= {"leaderboard.csv", "scores.csv"}
    monkeypatch.setattr("benchmark.measure.Score.apply", lambda *_: pytest.fail("scored again"))
    assert score(folders) == 1
    assert {path.name: path.read_bytes() for path in (folders / "out").glob("*.csv")} == before


def test_without_references_only_what_needs_none_is_measured(folders: Path, capsys: pytest.CaptureFixture[str]):
    command = ["score", "--generated", str(folders / "My method"), "--out", str(folders / "alone"), "--workers", "0"]
    assert main([*command, "--metric", "cpbd", "psnr", "--method", "m"]) == 0
    assert "3 clips" in capsys.readouterr().out
    row = table(folders / "alone")["m"]
    assert (row["cpbd_scored"], row["psnr"]) == ("3", "null")
    assert "no_reference" in row["psnr_reasons"]


def test_the_panel_and_the_offset_reach_the_scores(folders: Path):
    for name in ("ann_1", "ann_2"):
        grey = np.full((256, 256, 3), 100 if name == "ann_1" else 110, np.uint8)
        frames = [np.hstack([grey // 3, grey])] * 8
        media.write_video(folders / "My method" / f"{name}.mkv", frames)
    assert score(folders, "--panel", "256,0,256,256", "--offset-frames", "2", "--skip-ground-truth") == 1
    row = table(folders / "out")["My-method"]
    assert float(row["psnr"]) > 40 or row["psnr"] == "inf"
    assert row["psnr_scored"] == "2"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--panel", "1,2,3"), "--panel 1,2,3: give x,y,width,height"),
        (("--panel", "0,0,0,5"), "give x, y, width and height"),
        (("--method", "gt"), "method name 'gt' is that of the references"),
        (("--method", "a/b"), "method name 'a/b': use letters"),
        (("--metric", "pnsr"), "unknown metric 'pnsr'; did you mean psnr"),
        (("--speakers", "none.csv"), "none.csv: not a readable CSV file"),
        (("--audio", "none"), "none: no such folder"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(
    folders: Path, capsys: pytest.CaptureFixture[str], more: tuple[str, str], said: str
):
    assert score(folders, *more) == 2
    error = capsys.readouterr().err.strip()
    assert said in error
    assert "\n" not in error


def test_what_is_told_of_the_method_stands_in_every_table(folders: Path):
    told = ("--label", "A|B & <i>", "--input", "video", "--eye-blink", "from reference")
    score(folders, *told)
    (record,) = (folders / "out" / "runs").glob("*.json")
    record.rename(record.with_name("20000101T000000-1.json"))  # records of one process and second would be one
    score(folders)  # told once is told
    assert main(["leaderboard", str(folders / "out"), "--out", str(folders / "merged")]) == 0
    for out in (folders / "out", folders / "merged"):
        row = table(out)["My-method"]
        assert [row["label"], row["input"], row["eye_blink"]] == ["A|B & <i>", "video", "from reference"]
        assert "| My-method | video | from reference |" in (out / "leaderboard.md").read_text()
        assert (
            r"& A\textbar{}B \& \textless{}i\textgreater{} & From reference &" in (out / "leaderboard.tex").read_text()
        )
        assert "A|B &amp; &lt;i&gt;" in (out / "leaderboard.html").read_text()


def test_fewer_workers_than_none_are_refused(folders: Path, capsys: pytest.CaptureFixture[str]):
    assert score(folders, "--workers", "-3") == 2
    assert "--workers -3: give how many processes" in capsys.readouterr().err


def test_a_folder_that_cannot_be_made_and_two_sounds_are_refused(folders: Path, capsys: pytest.CaptureFixture[str]):
    (folders / "taken").write_text("x")
    assert score(folders, out="taken/out") == 2
    assert "taken/out: Not a directory; choose another folder" in capsys.readouterr().err
    assert score(folders, "--audio", str(folders / "real"), "--own-sound") == 2
    assert "give one of the two" in capsys.readouterr().err
