import dataclasses
from collections.abc import Sequence
from random import Random
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from benchmark.bootstrap import MIN_SPEAKERS, Sample, difference, resample_counts, tail_level
from benchmark.clip_score import ClipScore
from benchmark.metric import get_metric
from benchmark.metrics import psnr

PSNR = get_metric("psnr")


def sample(values: Sequence[Any], speakers: Sequence[str] | None = None, metric: Any = PSNR) -> Sample:
    speakers = speakers or [f"s{index}" for index in range(len(values))]
    scores = []
    for index, (value, speaker) in enumerate(zip(values, speakers, strict=True)):
        array = np.atleast_1d(np.asarray(value, float))
        name = f"c{index:04d}"
        scores.append(
            ClipScore("m", name, speaker, "en", "test", metric.name, metric.clip_value(array), None, array, {})
        )
    return Sample.of(metric, scores)


def test_the_interval_covers_the_mean_as_often_as_it_says():
    random = np.random.default_rng(0)
    for number, least in ((6, 0.91), (12, 0.92), (40, 0.92)):
        hits = 0
        for _ in range(300):
            found = sample(random.normal(30, 3, number)).interval()
            hits += found.low <= 30 <= found.high
        assert least <= hits / 300 <= 0.99, (number, hits)


def test_clips_of_one_speaker_are_drawn_together():
    """Ten clips of each of eight speakers who differ: the interval is that of eight numbers, not of eighty."""
    random = np.random.default_rng(1)
    levels = random.normal(30, 3, 8)
    values = np.repeat(levels, 10) + random.normal(0, 0.01, 80)
    names = [f"s{index // 10}" for index in range(80)]
    by_speaker, by_clip, of_eight = (
        sample(values, names).interval(),
        sample(values).interval(),
        sample(levels).interval(),
    )
    assert by_speaker.high - by_speaker.low == pytest.approx(of_eight.high - of_eight.low, rel=0.01)
    assert by_clip.high - by_clip.low < 0.5 * (by_speaker.high - by_speaker.low)


def test_clips_without_a_speaker_are_drawn_alone():
    values = [20.0 + k for k in range(20)]
    assert sample(values, [""] * 20).interval() == sample(values, [f"s{k:02d}" for k in range(20)]).interval()


def test_too_few_speakers_have_no_interval_and_say_so():
    found = sample([20.0, 30.0, 40.0], ["a", "a", "b"]).interval()
    assert (found.low, found.reason) == (None, f"too_few_speakers: 2, at least {MIN_SPEAKERS} needed")
    assert sample([np.inf] * 9).interval().reason == "infinite: every clip is"
    assert sample([np.inf] * 9 + [30.0] * 5).interval().reason.startswith("too_few_speakers: 5")
    assert not sample([20.0, 30.0]).interval().excludes_zero


def test_clips_whose_speakers_the_runs_do_not_agree_on_are_not_paired():
    """Drawn by other speakers, two methods would not be compared on the same clips."""
    values, names = [20.0 + k for k in range(12)], [f"s{k // 2}" for k in range(12)]
    known, unknown = sample(values, names), sample(values, [""] * 12)
    assert difference(known, sample(values, names))[1].reason == ""
    value, interval = difference(known, unknown)
    assert (value, interval.low) == (0.0, None)
    assert interval.reason.startswith("speakers_differ: ")


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.floats(-1e6, 1e6), min_size=6, max_size=30),
    st.randoms(use_true_random=False),
)
@example([0.0] * 5 + [5e-324], Random(0))  # the smallest number there is
def test_order_changes_no_bit(values: list[float], random: Any):
    """Sums are exact, so resampled values are the same however clips are ordered and speakers are called."""
    scores = [
        ClipScore(
            "m", f"c{k}", f"s{k % 7}" if k % 2 else f"t{k}", "en", "test", "psnr", value, None, np.array([value]), {}
        )
        for k, value in enumerate(values)
    ]
    first = Sample.of(PSNR, scores).draws
    random.shuffle(scores)
    second = Sample.of(PSNR, scores).draws
    if isinstance(first, np.ndarray):
        assert np.array_equal(first, second)
    else:
        assert first == second


def test_draws_are_what_drawing_speakers_means():
    values, names = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0], ["a", "a", "b", "c", "d", "e", "f"]
    counts = resample_counts(6, 2000)
    assert np.array_equal(counts.sum(axis=1), np.full(2000, 6))
    expected = []
    for row in counts.astype(int):
        drawn = [
            value
            for name, count in zip("abcdef", row, strict=True)
            for value, owner in zip(values, names, strict=True)
            for _ in range(count)
            if owner == name
        ]
        expected.append(np.mean(drawn))
    np.testing.assert_allclose(sample(values, names).draws, expected, rtol=1e-12)


def test_the_level_is_hesterbergs():
    """For n = 10, t(0.975, 9) = 2.262157: Phi(-2.384522) = 0.008551; many speakers: 0.025."""
    assert tail_level(10) == pytest.approx(0.0085509, abs=1e-6)
    assert tail_level(100_000) == pytest.approx(0.025, abs=1e-5)


@dataclasses.dataclass(frozen=True)
class Largest(psnr.Metric):
    """A value of sets that is no mean."""

    name: ClassVar[str] = "largest"

    def reduce(self, arrays: Sequence[np.ndarray]) -> float:
        return float(max(array.max() for array in arrays))


@dataclasses.dataclass(frozen=True)
class Costly(Largest):
    num_resamples: ClassVar[int] = 0


@dataclasses.dataclass(frozen=True)
class Exact(psnr.Metric):
    def interval(self, arrays: Sequence[np.ndarray]) -> tuple[float, float] | None:
        return 1.0, 2.0


def test_a_value_that_is_no_mean_is_resampled_through_reduce():
    found = sample(np.arange(20.0), metric=Largest())
    assert set(found.draws) <= set(np.arange(20.0))
    assert len(found.draws) == Largest.num_resamples
    assert found.interval().high == 19
    assert sample(np.arange(20.0), metric=Costly()).interval().reason == "too_costly: PSNR is not resampled"


def test_a_metric_may_have_an_exact_interval():
    found = sample([1.0], metric=Exact()).interval()
    assert (found.low, found.high, found.reason) == (1, 2, "")


def test_paired_differences_see_what_intervals_of_either_do_not():
    random = np.random.default_rng(2)
    base = random.normal(30, 5, 30)
    a, b = sample(base + random.normal(0.5, 0.2, 30)), sample(base)
    value, interval = difference(a, b)
    assert value == pytest.approx(0.5, abs=0.15)
    assert interval.low > 0
    assert a.interval().low < b.interval().high
    assert difference(b, a)[0] == -value


def test_differences_are_taken_on_common_clips():
    a, b = sample([1.0, 2.0, 3.0, np.inf]), sample([1.0, 1.0])
    value, interval = difference(a, b)
    assert value == 0.5
    assert interval.reason.startswith("too_few_speakers: 2")
    assert difference(a, sample([np.inf] * 4))[1].reason == "no_common_clips"


def test_distance_from_the_ground_truth_is_compared_where_that_is_best():
    truth = sample([1.0] * 10)
    near, far = sample(np.linspace(1.1, 1.2, 10)), sample(np.linspace(0.1, 0.3, 10))
    value, interval = difference(near, far, truth)
    assert value == pytest.approx(0.15 - 0.8)
    assert interval.high < 0
