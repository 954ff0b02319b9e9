import csv
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmark.cli import main

A = {"psnr": [20.0 + k % 5 for k in range(14)], "lmd": [2.0 + 0.1 * (k % 3) for k in range(14)]}
B = {"psnr": [22.0 + k % 5 for k in range(14)], "lmd": [2.0 + 0.1 * (k % 3) for k in range(14)]}


@pytest.fixture
def folder(write_results: Callable[..., Path], tmp_path: Path) -> Path:
    return write_results(tmp_path / "r", {"a": A, "b": B})


def test_methods_by_name_with_intervals_and_a_table(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("COLUMNS", "140")
    out = tmp_path / "c.csv"
    assert main(["compare", "a", "b", "--results", str(folder), "--per-speaker", "--csv", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "-2.00 to -2.00" in printed
    assert "not told apart" in printed
    assert "  s03    2 clips" in printed
    with out.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["metric"], row["clips"], row["better"]) for row in rows if not row["speaker"]] == [
        ("lmd", "14", ""),
        ("psnr", "14", "b"),
    ]
    assert len(rows) == 2 * (1 + 7)
    assert {row["difference"] for row in rows if row["metric"] == "psnr"} == {"-2"}


def test_folders_and_files_of_two_machines(
    folder: Path, write_results: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    other = write_results(tmp_path / "other", {"a": B}, videos="again")
    assert main(["compare", str(folder / "scores" / "a.parquet"), str(other), "--metric", "psnr"]) == 0
    assert "-2.00" in capsys.readouterr().out
    assert main(["compare", str(folder), str(other)]) == 2
    assert "holds the methods a, b; name scores/METHOD.parquet" in capsys.readouterr().err
    assert main(["compare", "a", str(other)]) == 2
    assert "a: neither a folder, a file, nor a method in no folder" in capsys.readouterr().err


def test_other_versions_of_a_metric_are_refused(
    folder: Path, write_results: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    other = write_results(tmp_path / "other", {"b": B}, version=9)
    assert main(["compare", str(folder / "scores" / "a.parquet"), str(other)]) == 2
    assert "was computed with different version" in capsys.readouterr().err


def test_a_metric_that_one_lacks_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["compare", "a", "b", "--results", str(folder), "--metric", "ssim"]) == 2
    assert "--metric ssim: not scored for both; they share lmd, psnr" in capsys.readouterr().err


def test_a_methods_name_wins_over_a_folder_of_that_name(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "a").mkdir()  # such as that of the method's videos
    monkeypatch.chdir(tmp_path)
    assert main(["compare", "a", "b", "--results", str(folder)]) == 0
    assert main(["compare", "a", "b"]) == 2
    assert "no scores/*.parquet" in capsys.readouterr().err
