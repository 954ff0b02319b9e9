import dataclasses
from collections.abc import Callable

import pytest
import yaml

from benchmark.metric import get_metric
from benchmark.summary import ScoreRow
from benchmark.tables.board import Board
from benchmark.tables.hub import Benchmark, eval_results

FULL = Benchmark("org/talking", "5503434", "2026-01-31", "https://example.org/x: #1")


@pytest.mark.parametrize("about", [Benchmark("org/talking"), FULL])
def test_the_hub_reads_what_is_measured_complete_and_trusted(board: Board, about: Benchmark):
    found = eval_results(board, "sample", about)
    assert sorted(found) == ["antelope", "zebra"]  # neither ground truth nor control
    entries = yaml.safe_load(found["antelope"])
    # no LSE-C, which is null; no Blink, whose gate failed; no variant
    assert [(entry["dataset"]["task_id"], entry["value"]) for entry in entries] == [("lmd", 2.0), ("psnr", 19.1235)]
    assert all(isinstance(entry["value"], float) for entry in entries)
    assert entries[0]["dataset"]["id"] == "org/talking"
    assert entries[0]["notes"] == (
        f"LMD px, version {get_metric('lmd').version}; 4 of 4 clips; 95 % interval 1.5 to 2.5; input image"
    )
    for name, value in (("date", about.date), ("source", {"url": about.source_url})):
        assert entries[0].get(name) == (value if about is FULL else None)
    assert entries[0]["dataset"].get("revision") == (about.revision or None)


def test_huggingface_hub_accepts_it(board: Board):
    parse = pytest.importorskip("huggingface_hub").parse_eval_result_entries
    entries = parse(yaml.safe_load(eval_results(board, "sample", FULL)["zebra"]))
    assert (entries[0].dataset_id, entries[0].task_id, entries[0].value) == ("org/talking", "lmd", 2.5)
    assert entries[0].date == "2026-01-31"


def test_incomplete_and_infinite_values_stay_out(row: Callable[..., ScoreRow]):
    rows = (row("a", "lmd", 1.0, num_scored=3), row("a", "psnr", float("inf")), row("a", "ssim", 1e-7, split="train"))
    found = eval_results(Board(rows), "sample", Benchmark("o/n"))
    (entry,) = yaml.safe_load(found["a"])
    assert (entry["dataset"]["task_id"], entry["value"]) == ("ssim_train", 1e-7)
    assert eval_results(dataclasses.replace(Board(rows[:2])), "sample", Benchmark("o/n")) == {}


def test_other_clips_than_the_ground_truths_stay_out(row: Callable[..., ScoreRow]):
    rows = (
        row("ground_truth", "lmd", 0.0, "ground_truth", clip_set="a"),
        row("zebra", "lmd", 2.0, clip_set="a"),
        row("antelope", "lmd", 1.0, clip_set="b"),
    )
    assert list(eval_results(Board(rows), "sample", FULL)) == ["zebra"]
    assert list(eval_results(Board(rows[1:]), "sample", FULL)) == ["antelope", "zebra"]
