"""`disentbench methods`, `methods doctor` and `run --method all` where nothing of others is installed."""

import csv
import json
from pathlib import Path

import pytest

from baselines.method import load_method, method_names
from benchmark.cli import main

WRAPPED = [name for name in method_names() if load_method(name).wrapped is not None]


@pytest.fixture(autouse=True)
def nothing_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DISENTBENCH_METHODS", str(tmp_path / "home"))


def test_every_method_is_listed_with_its_state(capsys: pytest.CaptureFixture[str]):
    assert main(["methods"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert sorted(lines) == method_names()
    for name in WRAPPED:
        assert "no_checkout: " in lines[name]
    assert lines["disenttalk"].endswith("ready")


@pytest.mark.parametrize("name", WRAPPED)
def test_doctor_names_checkout_environment_and_every_file_with_its_source(
    name: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    assert main(["methods", "doctor", name]) == 1
    said = capsys.readouterr().out
    method = load_method(name)
    assert method.wrapped is not None
    assert f"git clone {method.upstream} {tmp_path}/home/{name}/upstream" in said
    assert f"checkout {method.revision}" in said
    assert f"disentbench methods env {name} --python " in said
    for weight in method.wrapped.weights:
        assert f"{weight.url} -> {tmp_path}/home/{name}/weights/{weight.path}" in said


def test_doctor_of_our_own_methods_finds_nothing_missing(capsys: pytest.CaptureFixture[str]):
    assert main(["methods", "doctor", "disenttalk"]) == 0
    assert "ready" in capsys.readouterr().out
    assert main(["methods", "doctor", "sadtalkr"]) == 2
    assert "did you mean sadtalker" in capsys.readouterr().err


@pytest.mark.slow
def test_a_run_of_all_gives_table_one_with_the_state_of_every_method(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """The reference model is left out for its time; others' methods are all there, each null with its reason."""
    monkeypatch.setattr("baselines.method.method_names", lambda: [n for n in method_names() if "disenttalk" not in n])
    out = tmp_path / "out"
    command = ["run", "--method", "all", "--data", str(dataset), "--results", str(out), "--metric", "psnr"]
    assert main([*command, "--workers", "0"]) == 0
    said = capsys.readouterr().out
    with (out / "leaderboard.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    measured = {row["method"]: row for row in rows if row["origin"] == "measured"}
    for name in WRAPPED:
        assert measured[name]["psnr"] == "null"
        assert "no_checkout" in measured[name]["psnr_reasons"]
        assert f"not installed: {name}: no_checkout" in said
    assert float(measured["still"]["psnr"]) > 0
    printed = [row for row in rows if row["origin"] == "paper"]
    assert {row["dataset"] for row in printed} == {"hdtf", "chdtf"}
    assert len({row["method"] for row in printed}) == 13  # Table I: ground truth, ten baselines, ours twice
    record = json.loads(next((out / "runs").glob("*.json")).read_text())
    assert record["details"]["installations"]["sadtalker"]["state"].startswith("no_checkout")


def test_a_named_method_that_is_not_installed_is_told_by_the_exit_status(dataset: Path, tmp_path: Path):
    out = tmp_path / "out"
    command = ["run", "--method", "sadtalker", "--data", str(dataset), "--results", str(out), "--metric", "psnr"]
    assert main([*command, "--workers", "0"]) == 1
    assert (out / "leaderboard.csv").is_file()


def test_generated_weights_are_for_methods_of_others_and_enter_no_leaderboard(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    out = tmp_path / "out"
    command = ["run", "--data", str(dataset), "--results", str(out), "--metric", "psnr", "--generated-weights"]
    assert main([*command, "--method", "disenttalk"]) == 2
    assert "has weights; leave it away" in capsys.readouterr().err
    assert main([*command, "--method", "sadtalker", "--workers", "0"]) == 1
    assert not (out / "leaderboard.csv").exists()
    assert not (out / "generated_weights" / "leaderboard.csv").exists()
    assert main(["leaderboard", str(out / "generated_weights"), "--out", str(tmp_path / "board")]) == 2
    assert "measure nothing" in capsys.readouterr().err
