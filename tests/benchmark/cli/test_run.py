"""disentbench run: what goes from methods into scores. The whole of it is in tests/test_main_job.py."""

import csv
import dataclasses
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from baselines.method import load_method
from benchmark.cli._evaluate import evaluate
from benchmark.metric import get_metric


def test_seconds_are_those_of_methods_and_geometry_is_that_of_the_method(dataset: Path, tmp_path: Path):
    """A still image counts as a method here; copying the reference is no generation."""
    still = dataclasses.replace(load_method("still"), role="method", geometry="method_crop")
    methods, metrics = [load_method("gt"), load_method("gt_shuffled"), still], [get_metric("psnr"), get_metric("fps")]
    assert evaluate(dataset, "train", methods, metrics, tmp_path, 0) == 0
    taken = {
        name: pq.read_table(tmp_path / "scores" / f"{name}.parquet").column("generation_s").to_pylist()
        for name in ("gt", "gt_shuffled", "still")
    }
    assert set(taken["gt"]) == set(taken["gt_shuffled"]) == {None}
    assert all(0 < seconds < 60 for seconds in taken["still"])
    with (tmp_path / "leaderboard.csv").open(newline="", encoding="utf-8") as stream:
        rows = {row["method"]: row for row in csv.DictReader(stream)}
    assert rows["gt_shuffled"]["psnr"] == "inf"
    assert "geometry: PSNR means nothing on method_crop" in rows["still"]["psnr_reasons"]
    assert float(rows["still"]["fps"]) > 0
    before = (tmp_path / "leaderboard.csv").read_bytes()
    assert evaluate(dataset, "train", methods, metrics, tmp_path, 0) == 0
    assert (tmp_path / "leaderboard.csv").read_bytes() == before


def test_a_set_of_one_clip_has_no_shuffled_sound(dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    methods = [load_method("gt"), load_method("gt_shuffled")]
    assert evaluate(dataset, "test", methods, [get_metric("psnr")], tmp_path, 0) == 0
    assert "left out: gt_shuffled, a set of one clip" in capsys.readouterr().out
    assert not (tmp_path / "scores" / "gt_shuffled.parquet").exists()
