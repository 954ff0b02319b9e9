"""A clip whose source was withdrawn is in no number of a leaderboard, and the table says so."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest

from baselines.method import load_method
from benchmark.cli.run import evaluate
from benchmark.clip_score import ClipScore
from benchmark.metric import get_metric
from benchmark.summary import ScoreRow, summarise
from benchmark.tables.board import Board
from benchmark.tables.csv_tables import wide_csv
from benchmark.tables.markdown import markdown
from benchmark.withdrawn import withdrawn_clips
from chdtf.clip import read_clips
from chdtf.errors import UserError
from chdtf.tombstones import Tombstones

WORDS = "tombstoned: youtube:abcdefghijk (2026-05-01, asked)"


def score(metric: str, clip: int, value: float | None, reason: str | None = None) -> ClipScore:
    width = 3 if metric == "lse_c" else 1
    array = None if value is None else np.full((1, width), value) if width > 1 else np.array([value])
    return ClipScore("m", f"c{clip}", "s", "en", "test", metric, value, reason, array, {})


def rows(*scores: ClipScore) -> list[ScoreRow]:
    names = dict.fromkeys(one.metric for one in scores)
    return summarise(scores, [get_metric(name) for name in names], "d", "r")


def test_a_withdrawn_clip_counts_neither_as_scored_nor_as_missing():
    whole = rows(score("psnr", 0, 20.0), score("psnr", 1, 30.0))[0]
    less = rows(score("psnr", 0, 20.0), score("psnr", 1, 30.0), score("psnr", 2, None, WORDS))[0]
    assert (less.value, less.ci_low, less.num_scored, less.num_expected) == (25.0, whole.ci_low, 2, 2)
    assert less.reasons == ((WORDS, 1),)
    other = rows(score("psnr", 0, 20.0), score("psnr", 2, None, "no_face: none"))[0]
    assert (other.num_scored, other.num_expected) == (1, 2)


def test_a_metric_that_needs_all_clips_needs_those_that_are_left():
    scores = [score("lse_c", 0, 5.0), score("lse_c", 1, None, WORDS)]
    assert rows(*scores)[0].value is not None
    assert rows(*scores, score("lse_c", 2, None, "no_face: none"))[0].value is None


def test_the_tables_say_how_many_were_left_out_and_why():
    found = rows(score("psnr", 0, 20.0), score("psnr", 1, None, WORDS))
    assert f"{WORDS} (1 clips, not counted)" in wide_csv(Board(tuple(found)))
    text = markdown(Board(tuple(found)))
    assert "## d, test: 1 clip, 1 speaker" in text
    assert "20.00 " in text
    assert "[1]" in text
    assert f"[1] {WORDS} (1 clips, not counted)" in text
    assert "1/2" not in text


def test_clips_are_known_by_source_and_by_content(dataset: Path):
    clips = {clip.clip_id: clip for clip in read_clips(dataset)}
    by_address = withdrawn_clips(list(clips.values()), Tombstones.of("https://videos.example/2"))
    assert by_address == {"v2_000": "tombstoned: https://videos.example/2"}
    digest = clips["v0_000"].scores()["video_sha256"]
    assert list(withdrawn_clips(list(clips.values()), Tombstones.of(digest))) == ["v0_000"]
    assert withdrawn_clips(list(clips.values()), Tombstones()) == {}


def test_a_run_neither_generates_nor_scores_them(dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    data = tmp_path / "d"
    shutil.copytree(dataset, data)
    (data / "tombstones.csv").write_text("source_id,sha256,date,reason\nv3,,2026-05-01,asked\n")
    results = tmp_path / "results"
    evaluate(data, "train", [load_method("gt")], [get_metric("psnr")], results, 1)
    made = {
        path.name.partition(".")[0] for folder in ("inputs", "generated/gt") for path in (results / folder).iterdir()
    }
    assert made >= {"v0_000", "v1_000"}
    assert "v3_000" not in made
    with (results / "leaderboard.csv").open(newline="", encoding="utf-8") as stream:
        (row,) = csv.DictReader(stream)
    assert (row["psnr_scored"], row["psnr_expected"]) == ("2", "2")
    assert row["psnr_reasons"] == "tombstoned: v3 (2026-05-01, asked) (1 clips, not counted)"
    assert "left out: v3_000, tombstoned: v3" in capsys.readouterr().out
    (data / "tombstones.csv").write_text("source_id,sha256,date,reason\nv2,,,\n")
    with pytest.raises(UserError, match="all clips of split 'test' are withdrawn"):
        evaluate(data, "test", [load_method("gt")], [get_metric("psnr")], results, 1)
