"""disentbench run: what goes from methods into scores. The whole of it is in tests/test_main_job.py."""

import csv
import dataclasses
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from baselines.method import load_method
from benchmark.cli._evaluate import evaluate
from benchmark.cli.run import with_checkpoints
from benchmark.metric import get_metric
from chdtf.errors import UserError
from chdtf.files import sha256_file


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


def test_checkpoints_take_the_place_of_the_methods_own(tmp_path: Path):
    first, second = tmp_path / "run_7" / "checkpoint.safetensors", tmp_path / "best.safetensors"
    for path in (first, second):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(path.name.encode())
    methods = [load_method("gt"), load_method("disenttalk")]
    found = with_checkpoints(methods, [str(first), f"mine={second}"])
    assert [method.name for method in found] == ["gt", "disenttalk_run_7", "disenttalk_mine"]
    assert found[2].label == "DisentTalk (reference), mine"
    assert found[1].fingerprint() != found[2].fingerprint()


@pytest.mark.parametrize(
    ("methods", "given", "said"),
    [
        (["disenttalk"], ["a=x.safetensors"], "x.safetensors: no such checkpoint"),
        (["disenttalk"], ["a=b", "a=c"], "two have the same name"),
        (["disenttalk"], ["a/b=c"], "cannot be a method's name"),
        (["still"], ["x.safetensors"], "none of the methods takes one"),
    ],
)
def test_mistakes_about_checkpoints_are_named(methods: list[str], given: list[str], said: str):
    with pytest.raises(UserError, match=said):
        with_checkpoints([load_method(name) for name in methods], given)


def test_a_record_says_which_checkpoint_a_row_stands_for(dataset: Path, tmp_path: Path):
    """A still image stands for the model here: what counts is what is told of it."""
    weights = tmp_path / "copy.safetensors"
    weights.write_bytes(b"weights")
    own = dataclasses.replace(load_method("still"), role="method", checkpoint="pyproject.toml")
    methods = with_checkpoints([load_method("gt"), own], [str(weights)])
    assert evaluate(dataset, "test", methods, [get_metric("psnr")], tmp_path / "out", 0) == 0
    (record,) = (tmp_path / "out" / "runs").glob("*.json")
    config = json.loads(record.read_text(encoding="utf-8"))["config"]
    assert config["checkpoints"] == {"still_copy": {"file": str(weights), "sha256": sha256_file(weights)}}
    with (tmp_path / "out" / "leaderboard.csv").open(newline="", encoding="utf-8") as stream:
        row = next(row for row in csv.DictReader(stream) if row["method"] == "still_copy")
    assert (row["label"], row["input"], row["kind"]) == (f"{own.label}, copy", "image", "method")
