import dataclasses
import math
from collections.abc import Sequence

import numpy as np
import pytest

from benchmark.clip_score import ClipScore
from benchmark.metric import get_metric
from benchmark.paired import compare

BASE = np.random.default_rng(0).normal(30, 4, 24)


def scores(values: Sequence[float], metric: str = "psnr", first: int = 0) -> list[ClipScore]:
    return [
        ClipScore("m", f"c{k:02d}", f"s{k // 2:02d}", "en", "test", metric, value, None, np.array([value]), {})
        for k, value in enumerate(values, first)
    ]


def test_a_planted_difference_is_measured_back():
    shifts = 1.5 + np.random.default_rng(1).normal(0, 0.2, 24)
    (found,) = compare(scores(BASE + shifts), scores(BASE), [get_metric("psnr")])
    assert found.difference == pytest.approx(shifts.mean())
    assert found.a - found.b == pytest.approx(found.difference)
    assert found.low < 1.5 < found.high
    assert (found.better, found.num_clips, found.num_speakers, found.num_left_out) == ("a", 24, 12, 0)
    (turned,) = compare(scores(BASE), scores(BASE + shifts), [get_metric("psnr")])
    assert (turned.low, turned.high, turned.better) == pytest.approx((-found.high, -found.low, "b"))


def test_lower_is_better_where_the_metric_says_so():
    (found,) = compare(scores(BASE + 5, "lmd"), scores(BASE, "lmd"), [get_metric("lmd")])
    assert found.better == "b"


def test_equal_methods_are_not_told_apart():
    noise = np.random.default_rng(2).normal(0, 1, (2, 24))
    (found,) = compare(scores(BASE + noise[0]), scores(BASE + noise[1]), [get_metric("psnr")])
    assert (found.better, found.reason) == ("", "")
    assert found.low < 0 < found.high


def test_only_common_clips_with_the_same_reference_count():
    a = [dataclasses.replace(score, reference_sha256="x") for score in scores(BASE[:4])]
    b = [dataclasses.replace(score, reference_sha256="x") for score in scores(BASE[2:8], first=2)]
    b[1] = dataclasses.replace(b[1], reference_sha256="y")
    (found,) = compare(a, b, [get_metric("psnr")])
    assert (found.num_clips, found.num_left_out, found.difference) == (1, 7, 0.0)
    assert found.reason.startswith("too_few_speakers: 1")
    (nothing,) = compare(a[:1], b[:1], [get_metric("psnr")])
    assert math.isnan(nothing.difference)
    assert nothing.reason == "no_common_clips"


def test_each_speaker_has_a_difference_and_they_average_to_the_whole():
    (found,) = compare(scores(BASE + np.arange(24)), scores(BASE), [get_metric("psnr")])
    assert [part.num_clips for part in found.by_speaker] == [2] * 12
    assert found.by_speaker[0].difference == pytest.approx(0.5)
    assert np.mean([part.difference for part in found.by_speaker]) == pytest.approx(found.difference)


def test_closest_to_the_ground_truth_compares_distances():
    truth, near, far = (scores(np.full(24, value) + BASE / 1000, "lpips_consecutive") for value in (1.0, 1.1, 0.7))
    metric = get_metric("lpips_consecutive")
    (found,) = compare(near, far, [metric], truth)
    assert (found.to_truth, found.better) == (True, "a")
    assert found.difference == pytest.approx(0.1 - 0.3)
    (blind,) = compare(near, far, [metric])
    assert (blind.to_truth, blind.better) == (False, "")
    assert blind.difference == pytest.approx(0.4)
