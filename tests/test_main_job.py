"""The main job, by the commands that users type: build, run, and once more with nothing to do."""

import csv
import json
import math
import os
import shutil
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from baselines.method import FOLDER
from benchmark.cli import main

pytestmark = pytest.mark.slow

METRICS = ("lse_c", "lmd", "blink", "cpbd", "psnr")
COMPUTED = (*METRICS, "ear", "mouth_open_corr", "fps", "fid")
RUN = ("run", "--method", "disenttalk", "--metric", *COMPUTED)


@pytest.fixture(scope="module")
def results(sample_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `disentbench run --method disenttalk` wrote, without SyncNet's weights."""
    folder = tmp_path_factory.mktemp("results") / "sample"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DISENTBENCH_WEIGHTS", str(folder.parent / "no_weights"))
        assert main([*RUN, "--data", str(sample_dataset), "--results", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def table(results: Path) -> dict[str, dict[str, str]]:
    """leaderboard.csv by method."""
    with (results / "leaderboard.csv").open(encoding="utf-8") as stream:
        return {row["method"]: row for row in csv.DictReader(stream)}


def test_the_table_has_its_rows_and_counts(table: dict[str, dict[str, str]]) -> None:
    assert list(table) == ["gt", "disenttalk", "gt_shifted", "gt_shuffled", "still"]
    for row in table.values():
        for metric in METRICS:
            assert int(row[f"{metric}_expected"]) == 4
            assert row[f"{metric}_scored"] == ("0" if metric == "lse_c" else "4")


def test_lse_c_without_weights_is_null_with_the_command(table: dict[str, dict[str, str]]) -> None:
    for row in table.values():
        assert row["lse_c"] == "null"
        assert "disentbench weights fetch syncnet_v2" in row["lse_c_reasons"]


def test_ground_truth_is_perfect(table: dict[str, dict[str, str]]) -> None:
    assert float(table["gt"]["lmd"]) == 0
    assert table["gt"]["psnr"] == "inf"
    assert int(table["gt"]["psnr_infinite"]) == 4


def test_other_sound_changes_nothing_that_does_not_hear(table: dict[str, dict[str, str]]) -> None:
    for metric in set(METRICS) - {"lse_c"}:
        assert table["gt_shifted"][metric] == table["gt_shuffled"][metric] == table["gt"][metric]


def test_a_still_image_has_no_motion(table: dict[str, dict[str, str]]) -> None:
    assert float(table["still"]["blink"]) == 0
    assert float(table["still"]["lmd"]) > 1


def test_the_reference_model_moves_and_is_scored(table: dict[str, dict[str, str]]) -> None:
    row = table["disenttalk"]
    assert all(math.isfinite(float(row[metric])) for metric in METRICS if metric != "lse_c")
    assert 0 < float(row["lmd"]) < 10
    assert float(row["blink"]) > 0


def test_per_clip_scores_and_records_are_there(results: Path) -> None:
    every = pq.read_table(results / "scores" / "disenttalk.parquet").to_pylist()
    assert len(every) == 4 * len(COMPUTED)
    scores = [row for row in every if row["metric"] in METRICS]
    assert {row["metric"] for row in scores if row["value"] is None} == {"lse_c"}
    (record,) = (json.loads(path.read_text(encoding="utf-8")) for path in (results / "runs").glob("*.json"))
    assert {"commit", "packages", "hardware", "weights", "command"} <= set(record)
    assert set(record["config"]["seeds"]["clips"]) == {row["clip_id"] for row in scores}
    assert record["config"]["seeds"]["bootstrap"] == 0
    assert "disenttalk" in (results / "leaderboard.md").read_text(encoding="utf-8")


def test_a_second_run_redoes_nothing(
    sample_dataset: Path, results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def state() -> dict[str, int]:
        kept = [path for path in results.rglob("*") if path.suffix in (".mp4", ".wav", ".png", ".parquet", ".npy")]
        return {str(path): path.stat().st_mtime_ns for path in kept}

    monkeypatch.setenv("DISENTBENCH_WEIGHTS", str(results.parent / "no_weights"))
    data = shutil.copytree(sample_dataset, tmp_path / "sample")  # a build holds its folder; others read this one
    before, csv_before, started = state(), (results / "leaderboard.csv").read_bytes(), time.monotonic()
    assert main(["build", "--out", str(data)]) == 0
    assert main([*RUN, "--data", str(sample_dataset), "--results", str(results)]) == 0
    assert state() == before
    assert (results / "leaderboard.csv").read_bytes() == csv_before
    assert time.monotonic() - started < 20 * (1 + os.getloadavg()[0])


def test_a_method_that_fails_is_a_row_of_nulls_with_its_reason(
    sample_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It crashes behind the first clip of every start: the clip it failed at says why, and is not tried again."""
    methods = tmp_path / "methods"
    shutil.copytree(FOLDER, methods, ignore=shutil.ignore_patterns("__pycache__", "*.py[co]"))
    (methods / "odd").mkdir()
    (methods / "odd" / "method.toml").write_text(
        (FOLDER / "gt" / "method.toml").read_text().replace("reference", "method")
    )
    code = "import json, shutil, sys; item = json.load(open(sys.argv[1]))['items'][0]; "
    (methods / "odd" / "drive.py").write_text(code + "shutil.copyfile(item['video'], item['output']); sys.exit(3)")
    monkeypatch.setattr("baselines.method.FOLDER", methods)
    results = tmp_path / "results"
    command = ["run", "--method", "odd", "--data", str(sample_dataset), "--results", str(results), "--metric", "psnr"]
    assert main(command) == 1
    assert "not generated: odd, hopper_" in capsys.readouterr().out
    with (results / "leaderboard.csv").open(encoding="utf-8") as stream:
        row = {row["method"]: row for row in csv.DictReader(stream)}["odd"]
    assert (row["psnr_scored"], row["psnr_expected"]) == ("2", "4")
    assert "no_output: exit status 3" in row["psnr_reasons"]
