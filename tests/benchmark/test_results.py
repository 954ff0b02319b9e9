import dataclasses
import itertools
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmark.results import Merged, merge, read_results
from benchmark.tables.board import Board
from benchmark.tables.csv_tables import wide_csv
from benchmark.tables.make import facts_of_kinds, make_board
from chdtf.errors import UserError
from chdtf.tombstones import Tombstones

Write = Callable[..., Path]
GT = {"psnr": [math.inf] * 14, "lmd": [0.0] * 14}
A = {"psnr": [20.0 + k % 5 for k in range(14)], "lmd": [2.0 + 0.1 * (k % 3) for k in range(14)]}
B = {"psnr": [25.0 + k % 5 for k in range(14)], "lmd": [1.0 + 0.1 * (k % 3) for k in range(14)]}


def merged(*folders: Path) -> Merged:
    return merge([read_results(folder) for folder in folders])


def board(found: Merged) -> Board:
    return make_board(found.scores, facts_of_kinds(found.kinds, {}), ("I",), found.notes)


def test_a_folder_is_read_with_its_data_set_and_kinds(write_results: Write, tmp_path: Path):
    found = read_results(write_results(tmp_path / "r", {"gt": GT, "a": A}, "chdtf"))
    assert (found.dataset, found.kinds["gt"], found.kinds["a"]) == ("chdtf", "ground_truth", "method")
    assert len(found.scores["a"]) == 28
    assert read_results(tmp_path / "r", "other").dataset == "other"
    (tmp_path / "r" / "runs" / "20260101T000000-1.json").write_text('{"config": {"data": "/data/my_set"}}')
    assert read_results(tmp_path / "r").dataset == "my_set"
    (tmp_path / "r" / "runs" / "20260101T000000-1.json").unlink()
    assert read_results(tmp_path / "r").dataset == "r"


def test_a_folder_without_scores_or_with_a_broken_record_is_refused(write_results: Write, tmp_path: Path):
    with pytest.raises(UserError, match=r"no scores/\*\.parquet; name folders that disentbench run"):
        read_results(tmp_path)
    folder = write_results(tmp_path / "r", {"a": A})
    (folder / "runs" / "20270101T000000-1.json").write_text("{")
    with pytest.raises(UserError, match="not a readable run record"):
        read_results(folder)


def test_methods_of_several_machines_come_together_in_any_order(write_results: Write, tmp_path: Path):
    folders = [
        write_results(tmp_path / "one", {"gt": GT, "a": A}),
        write_results(tmp_path / "two", {"gt": GT, "b": B}),
        write_results(tmp_path / "three", {"gt": GT, "b": B}, "chdtf"),
    ]
    texts = {wide_csv(board(merged(*order))) for order in itertools.permutations(folders)}
    assert len(texts) == 1
    found = merged(*folders)
    assert {name: list(part) for name, part in found.scores.items()} == {"hdtf": ["a", "b", "gt"], "chdtf": ["b", "gt"]}
    assert len(found.scores["hdtf"]["gt"]) == 28  # once, though two folders hold it
    assert found.notes == ()
    rows = {
        (row.method, row.metric): row for row in board(found).rows if row.dataset == "hdtf" and row.origin != "paper"
    }
    assert rows["b", "psnr"].mark == "best"
    assert rows["a", "psnr"].tie_group == 2


@pytest.mark.parametrize(
    ("part", "value", "told"),
    [
        ("version", 7, r"7 in .*two/scores/a\.parquet"),
        ("options", {"vshift": 9}, r'{"vshift": 9} in .*two/scores/a\.parquet'),
        ("weights", {"net": "abc"}, r'{"net": "abc"} in .*two/scores/a\.parquet'),
    ],
)
def test_metrics_of_other_versions_options_and_weights_do_not_mix(
    write_results: Write, tmp_path: Path, part: str, value: Any, told: str
):
    one = write_results(tmp_path / "one", {"gt": GT, "b": B})
    two = write_results(tmp_path / "two", {"a": A}, **{part: value})
    with pytest.raises(UserError, match=rf"metric \w+ was computed with different {part}: .*{told}") as caught:
        merged(one, two)
    assert "one/scores/b.parquet" in str(caught.value)


def test_what_was_not_scored_mixes_with_anything(write_results: Write, tmp_path: Path):
    """Weights that are missing on one machine do not hide the scores of another."""
    reason = "weights_missing: syncnet_v2.model"
    one = write_results(
        tmp_path / "one", {"a": {"lse_c": [None] * 14}}, reason=reason, weights={"syncnet_v2": "missing"}
    )
    two = write_results(tmp_path / "two", {"a": {"lse_c": [5.0] * 14}}, weights={"syncnet_v2": "961e"})
    for order in ((one, two), (two, one)):
        assert {score.value for score in merged(*order).scores["hdtf"]["a"]} == {5.0}


def test_another_video_of_the_same_clip_is_refused(write_results: Write, tmp_path: Path):
    one = write_results(tmp_path / "one", {"a": A})
    two = write_results(tmp_path / "two", {"a": A}, videos="other")
    with pytest.raises(UserError, match=r"method a, clip c00: .*two scored another video than .*one"):
        merged(one, two)


def test_a_clip_scored_twice_with_other_values_is_told(write_results: Write, tmp_path: Path):
    one = write_results(tmp_path / "one", {"a": {"lmd": [1.0, 2.0]}})
    two = write_results(tmp_path / "two", {"a": {"lmd": [1.0, 2.25]}})
    for order in ((one, two), (two, one)):
        found = merged(*order)
        assert [score.value for score in found.scores["hdtf"]["a"]] == [1.0, 2.0]
        assert found.notes == ("lmd: 1 clips were scored twice, with values up to 0.25 apart; the smaller is kept",)


def test_packages_that_differ_are_told(write_results: Write, tmp_path: Path):
    one = write_results(tmp_path / "one", {"a": A})
    two = write_results(tmp_path / "two", {"b": B}, packages={"av": "16"})
    assert merged(one, two).notes == ("av: scores were computed with versions 15 and 16",)


def test_rows_on_other_references_are_told_and_not_ranked(write_results: Write, tmp_path: Path):
    one = write_results(tmp_path / "one", {"gt": GT, "a": A, "b": B})
    two = write_results(tmp_path / "two", {"easy": {"psnr": [50.0] * 14}}, references="other")
    found = board(merged(one, two))
    (note,) = found.notes
    assert note.startswith("hdtf, test: easy was scored on other clips or references than the ground truth")
    rows = {(row.method, row.metric): row for row in found.rows if row.origin != "paper"}
    assert rows["easy", "psnr"].tie_group is None
    assert rows["b", "psnr"].mark == "best"
    assert rows["easy", "psnr"].clip_set != rows["b", "psnr"].clip_set == rows["gt", "psnr"].clip_set


def test_a_clip_that_one_run_left_out_as_withdrawn_counts_in_no_row(write_results: Write, tmp_path: Path):
    words = "tombstoned: youtube:abcdefghijk"
    one = write_results(tmp_path / "one", {"a": {"lmd": [1.0, 2.0, 9.0]}})
    two = write_results(
        tmp_path / "two", {"a": {"lmd": [1.0, 2.0, None]}, "b": {"lmd": [3.0, 4.0, None]}}, reason=words
    )
    for order in ((one, two), (two, one)):
        rows = {row.method: row for row in board(merged(*order)).rows if row.origin != "paper"}
        assert (rows["a"].value, rows["a"].num_expected, rows["a"].reasons) == (1.5, 2, ((words, 1),))
        assert rows["a"].clip_set == rows["b"].clip_set


@pytest.mark.parametrize("named", ["abcdefghijk", "a" * 64])
def test_tombstones_reach_scores_made_before_them(write_results: Write, tmp_path: Path, named: str):
    """By the source that the run recorded of a clip, or by the content of its reference."""
    folder = write_results(tmp_path / "r", {"a": {"lmd": [1.0, 2.0]}})
    record = folder / "runs" / "20260101T000000-1.json"
    record.write_text(
        json.dumps({**json.loads(record.read_text()), "inputs": {"c01": "abcdefghijk" * (len(named) < 64)}})
    )
    found = read_results(folder)
    if len(named) == 64:  # the reference of the second clip has that hash
        scores = [dataclasses.replace(s, reference_sha256=named * (s.clip_id == "c01")) for s in found.scores["a"]]
        found = dataclasses.replace(found, scores={"a": scores})
    kept, gone = merge([found], Tombstones.of(named)).scores["hdtf"]["a"]
    assert (kept.value, kept.reason) == (1.0, None)
    assert gone.value is None
    assert gone.values is None
    assert gone.reason.startswith("tombstoned: ")


def test_files_are_found_where_they_still_are(write_results: Write, tmp_path: Path):
    folder = write_results(tmp_path / "r", {"a": {"lmd": [1.0, 2.0]}})
    for name in ("generated/a/c01.mp4", "inputs/c01.mp4"):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).touch()
    assert merged(folder).files == {
        ("hdtf", "a", "c01"): folder / "generated" / "a" / "c01.mp4",
        ("hdtf", "", "c01"): folder / "inputs" / "c01.mp4",
    }


def test_splits_and_unknown_metrics_stand_apart(write_results: Write, tmp_path: Path):
    found = read_results(write_results(tmp_path / "r", {"a": A, "gt": GT}))
    parts = {name: list(part) for name, part in found.scores.items()}
    train = [dataclasses.replace(score, split="train", clip_id=f"t{score.clip_id}") for score in parts["a"]]
    odd = [dataclasses.replace(parts["a"][0], metric="of_tomorrow")]
    made = make_board({"hdtf": {"a": parts["a"] + train + odd, "gt": parts["gt"]}}, {}, ())
    assert list(made.tables()) == [("hdtf", "test"), ("hdtf", "train")]
    assert made.notes == ("of_tomorrow: this program has no such metric; its scores are left out",)


def test_scores_of_an_older_version_are_shown_and_told(write_results: Write, tmp_path: Path):
    found = board(merged(write_results(tmp_path / "r", {"a": {"psnr": [20.0] * 7}}, version=0)))
    assert found.notes[0].startswith("PSNR: scores of version 0, this program computes version ")
    assert next(row for row in found.rows if row.method == "a").value == 20


def test_the_paper_stands_beside_data_sets_of_its_names(write_results: Write, tmp_path: Path):
    found = merged(write_results(tmp_path / "one", {"a": A}, "HDTF"), write_results(tmp_path / "two", {"a": A}, "own"))
    rows = [row for row in board(found).rows if row.origin == "paper"]
    assert {(row.dataset, row.tie_group, row.mark) for row in rows} == {("HDTF", None, "")}
    assert json.dumps(sorted({row.method for row in rows})[:2]) == '["aniportrait", "audio2head"]'
