import csv
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from benchmark.cli import main

GT = {"psnr": [math.inf] * 14, "lmd": [0.0] * 14}
A = {"psnr": [20.0 + k % 5 for k in range(14)], "lmd": [2.0 + 0.1 * (k % 3) for k in range(14)]}
STILL = {"psnr": [22.0] * 14, "lmd": [3.0] * 14}


@pytest.fixture
def folders(write_results: Callable[..., Path], tmp_path: Path) -> tuple[str, str]:
    one = write_results(tmp_path / "one", {"gt": GT, "gt_shifted": GT, "still": STILL, "disenttalk": A})
    return str(one), str(write_results(tmp_path / "two", {"gt": GT, "b": {**A, "lmd": [1.0] * 14}}))


def rows(folder: Path) -> dict[tuple[str, str], dict[str, str]]:
    with (folder / "leaderboard.csv").open(encoding="utf-8", newline="") as stream:
        return {(row["origin"], row["method"]): row for row in csv.DictReader(stream)}


def test_runs_are_merged_into_all_formats(folders: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out = tmp_path / "out"
    assert main(["leaderboard", *folders, "--out", str(out)]) == 0
    assert {path.name for path in out.iterdir()} == {
        *("leaderboard.csv", "leaderboard.md", "leaderboard.tex", "leaderboard.html", "scores.csv", "runs"),
    }
    found = rows(out)
    assert found["measured", "disenttalk"]["input"] == "image"  # from its method.toml
    assert found["measured", "b"]["lmd_mark"] == "best"
    assert found["paper", "sadtalker"]["lmd"] == "2.556"
    assert found["measured", "gt"]["gates"].startswith("not judged: ")
    printed = capsys.readouterr().out
    assert "hdtf, test" in printed
    assert f"LaTeX:    {out / 'leaderboard.tex'}" in printed


def test_the_order_of_runs_changes_no_byte(folders: tuple[str, str], tmp_path: Path):
    texts = set()
    for index, order in enumerate((folders, folders[::-1], (*folders, folders[0]))):
        assert main(["leaderboard", *order, "--out", str(tmp_path / str(index)), "--paper", "none"]) == 0
        texts.add(tuple((tmp_path / str(index) / f"{name}.csv").read_bytes() for name in ("leaderboard", "scores")))
    assert len(texts) == 1
    assert "paper" not in {origin for origin, _ in rows(tmp_path / "0")}


def test_a_failed_gate_is_told_and_ends_with_one(
    write_results: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    run = write_results(tmp_path / "r", {"gt": {"psnr": [40.0] * 8}, "still": {"psnr": [20.0] * 8}})
    assert main(["leaderboard", str(run), "--out", str(tmp_path / "out")]) == 1
    printed = capsys.readouterr().out
    assert "GATE FAILED: truth_copy" in printed
    assert "1 gate failed: do not trust these tables" in printed
    assert rows(tmp_path / "out")["measured", "gt"]["gates"].startswith("failed: truth_copy (PSNR 40, inf expected)")
    assert "Gate failed" in (tmp_path / "out" / "leaderboard.md").read_text(encoding="utf-8")
    assert "truth_copy" in (tmp_path / "out" / "leaderboard.html").read_text(encoding="utf-8")


def test_results_for_the_hub(folders: tuple[str, str], tmp_path: Path):
    out = tmp_path / "out"
    command = ["leaderboard", *folders, "--out", str(out), "--hub-dataset", "org/hdtf", "--hub-date", "2026-01-31"]
    assert main(command) == 0
    entries = yaml.safe_load((out / "eval_results" / "b.yaml").read_text(encoding="utf-8"))
    assert [entry["dataset"]["task_id"] for entry in entries] == ["lmd", "psnr"]
    assert {path.name for path in (out / "eval_results").iterdir()} == {"b.yaml", "disenttalk.yaml"}


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--paper", "III"], "--paper III: the paper's tables of methods are I, II and IV"),
        (["--hub-dataset", "org"], "--hub-dataset org: give ORGANISATION/NAME"),
        (["--hub-dataset", "o/n", "--hub-date", "soon"], "--hub-date soon: give a date"),
    ],
)
def test_mistakes_are_told_before_the_work(
    flags: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["leaderboard", str(tmp_path), *flags]) == 2
    assert told in capsys.readouterr().err


def test_folders_without_scores_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["leaderboard", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert "no scores/*.parquet" in capsys.readouterr().err
    assert main(["leaderboard"]) == 2
    assert not (tmp_path / "out").exists()
