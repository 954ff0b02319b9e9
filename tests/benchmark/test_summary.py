import dataclasses
from typing import Any

import numpy as np
import pytest

from benchmark.clip_score import ClipScore
from benchmark.metric import get_metric
from benchmark.summary import CONTROL, summarise


def result(metric: str, clip: int, values: Any = None, reason: str | None = None, language: str = "en") -> ClipScore:
    value = None if values is None else get_metric(metric).clip_value(np.asarray(values, float))
    array = None if values is None else np.asarray(values, float)
    return ClipScore("m", f"c{clip}", "s", language, "test", metric, value, reason, array, {})


def one(scores: list[ClipScore], metric: str):
    (row,) = summarise(scores, [get_metric(metric)], "sample", "run")
    return row


def test_mean_over_clips_with_coverage_and_reasons():
    scores = [result("psnr", 0, [20.0, 30.0]), result("psnr", 1, [40.0])]
    scores += [result("psnr", k, reason=f"no_face: found in {k} of 9 frames") for k in (2, 3)]
    scores += [result("psnr", 4, reason="missing_video: c4.mp4")]
    row = one(scores, "psnr")
    assert row.value == 32.5
    assert (row.num_scored, row.num_expected, row.num_infinite) == (2, 5, 0)
    assert row.reasons == (("no_face: found in 2 of 9 frames", 2), ("missing_video: c4.mp4", 1))
    assert (row.origin, row.subset, row.split, row.dataset, row.run_id) == ("measured", "all", "test", "sample", "run")


def test_infinite_clips_are_counted_and_left_out():
    row = one([result("psnr", 0, [np.inf]), result("psnr", 1, [30.0, np.inf])], "psnr")
    assert (row.value, row.num_scored, row.num_infinite) == (30.0, 2, 1)
    row = one([result("psnr", 0, [np.inf]), result("psnr", 1, [np.inf])], "psnr")
    assert (row.value, row.num_infinite, row.ci_low) == (np.inf, 2, None)


def test_lse_c_is_not_averaged_over_a_set_with_a_null_clip():
    scored = [result("lse_c", k, [[5.0 + k, 8.0, 0.0]]) for k in range(3)]
    assert one(scored, "lse_c").value == 6.0
    row = one([*scored, result("lse_c", 3, reason="no_face: 0 of 9")], "lse_c")
    assert (row.value, row.ci_low, row.num_scored, row.num_expected) == (None, None, 3, 4)


def test_blinks_are_pooled():
    row = one([result("blink", 0, [1, 2, 0, 2, 0]), result("blink", 1, [0, 8, 0, 8, 0])], "blink")
    assert row.value == pytest.approx(0.1)
    assert row.ci_low < 0.1 < row.ci_high


def test_intervals_are_over_speakers_and_say_why_there_is_none():
    scores = [dataclasses.replace(result("psnr", k, [20.0 + k]), speaker_id=f"s{k % 7}") for k in range(14)]
    row = one(scores, "psnr")
    assert row.num_speakers == 7
    assert row.ci_low < row.value < row.ci_high
    assert one(scores[::-1], "psnr") == row
    row = one(scores[:5], "psnr")
    assert (row.ci_low, row.interval_reason) == (None, "too_few_speakers: 5, at least 6 needed")


def test_rows_on_other_clips_or_references_can_be_told_apart():
    def clip_set(clips: int, references: dict[str, str] | None = None) -> str:
        scores = [result("psnr", k, [20.0]) for k in range(clips)]
        (row,) = summarise(scores, [get_metric("psnr")], "sample", "", references=references)
        return row.clip_set

    hashes = {"c0": "00", "c1": "11"}
    assert clip_set(2, hashes) == clip_set(2, dict(reversed(hashes.items())))
    assert len({clip_set(1), clip_set(2), clip_set(2, hashes), clip_set(2, {**hashes, "c1": "12"})}) == 4


def test_a_metric_without_results_has_no_row():
    assert summarise([], [get_metric("psnr")], "sample", "run") == []
    assert summarise([result("psnr", 0, [20.0])], [get_metric("lmd")], "sample", "run") == []


def test_languages_get_rows_of_their_own():
    scores = [result("psnr", k, [20.0 + 10 * k], language=("en", "zh", "zh")[k]) for k in range(3)]
    rows = summarise(scores, [get_metric("psnr")], "sample", "run", kind=CONTROL)
    assert [(row.subset, row.value, row.num_expected, row.kind) for row in rows] == [
        ("all", 30.0, 3, "control"),
        ("en", 20.0, 1, "control"),
        ("zh", 35.0, 2, "control"),
    ]
