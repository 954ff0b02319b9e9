import dataclasses
import time
from collections.abc import Mapping, Sequence

import numpy as np

from benchmark.clip_score import ClipScore
from benchmark.metric import get_metric
from benchmark.summary import CONTROL, GROUND_TRUTH, METHOD, ScoreRow, summarise
from benchmark.ties import with_ties

BASE = np.random.default_rng(0).normal(30, 4, 24)


def scores(method: str, values: Sequence[float | None], metric: str = "psnr") -> list[ClipScore]:
    return [
        ClipScore(
            method, f"c{k:02d}", f"s{k // 2}", "en", "test", metric, value,
            "no_face: none" if value is None else None, None if value is None else np.array([value]), {},
        )
        for k, value in enumerate(values)
    ]  # fmt: skip


def ranked(
    found: Mapping[str, list[ClipScore]], kinds: Mapping[str, str] | None = None, metric: str = "psnr"
) -> dict[str, ScoreRow]:
    metrics = [get_metric(metric)]
    rows = [
        row
        for method, part in found.items()
        for row in summarise(part, metrics, "d", "", (kinds or {}).get(method, METHOD))
    ]
    return {row.method: row for row in with_ties(rows, found, metrics)}


def noisy(shift: float, seed: int) -> np.ndarray:
    return BASE + shift + np.random.default_rng(seed).normal(0, 0.3, len(BASE))


def test_clear_differences_are_ranked_and_marked():
    rows = ranked({"a": scores("a", noisy(0, 1)), "b": scores("b", noisy(5, 2)), "c": scores("c", noisy(2, 3))})
    assert {name: (row.tie_group, row.mark) for name, row in rows.items()} == {
        "b": (1, "best"),
        "c": (2, "second"),
        "a": (3, ""),
    }


def test_what_chance_may_have_made_is_tied_and_not_marked():
    rows = ranked({"a": scores("a", noisy(3, 1)), "b": scores("b", noisy(3, 2)), "c": scores("c", noisy(0, 3))})
    assert {name: (row.tie_group, row.mark) for name, row in rows.items()} == {
        "a": (1, ""),
        "b": (1, ""),
        "c": (3, ""),
    }


def test_a_clear_best_before_tied_followers():
    rows = ranked({"a": scores("a", noisy(9, 1)), "b": scores("b", noisy(3, 2)), "c": scores("c", noisy(3, 3))})
    assert (rows["a"].tie_group, rows["a"].mark) == (1, "best")
    assert [(rows[name].tie_group, rows[name].mark) for name in "bc"] == [(2, ""), (2, "")]


def test_lower_is_better_where_the_metric_says_so():
    rows = ranked(
        {
            name: [dataclasses.replace(s, metric="lmd") for s in scores(name, noisy(shift, shift))]
            for name, shift in (("a", 0), ("b", 5))
        },
        metric="lmd",
    )
    assert (rows["a"].mark, rows["b"].tie_group) == ("best", 2)


def test_sets_with_nulls_controls_and_ground_truth_are_not_ranked():
    with_null = [None, *noisy(9, 4)[1:]]
    found = {
        "gt": scores("gt", noisy(20, 7)),
        "still": scores("still", noisy(20, 8)),
        "a": scores("a", noisy(0, 1)),
        "b": scores("b", noisy(2, 2)),
        "partial": scores("partial", with_null),
    }
    rows = ranked(found, {"gt": GROUND_TRUTH, "still": CONTROL})
    assert {name: row.tie_group for name, row in rows.items()} == {
        "gt": None,
        "still": None,
        "a": 2,
        "b": 1,
        "partial": None,
    }
    assert rows["b"].mark == "best"


def test_one_method_alone_and_few_speakers_are_not_ranked():
    assert ranked({"a": scores("a", noisy(0, 1))})["a"].tie_group is None
    few = {name: scores(name, noisy(shift, 1)[:8]) for name, shift in (("a", 0), ("b", 9))}  # four speakers
    assert [row.tie_group for row in ranked(few).values()] == [None, None]


def blinks(method: str, counts: Sequence[int]) -> list[ClipScore]:
    return [
        ClipScore(
            method, f"c{k:02d}", f"s{k}", "en", "test", "blink", count / 10, None,
            np.array([count, 10.0, 0.0, 10.0, 0.0]), {},
        )
        for k, count in enumerate(counts)
    ]  # fmt: skip


def test_blinking_is_ranked_by_distance_from_the_ground_truth():
    found = {"gt": blinks("gt", [4, 5] * 8), "few": blinks("few", [3, 4] * 8), "many": blinks("many", [9, 8] * 8)}
    rows = ranked(found, {"gt": GROUND_TRUTH}, metric="blink")
    assert (rows["few"].tie_group, rows["many"].tie_group, rows["few"].mark) == (1, 2, "best")
    del found["gt"]
    assert {row.tie_group for row in ranked(found, metric="blink").values()} == {None}


def test_other_clips_do_not_compete():
    """A method scored on other clips than the ground truth is beside the competition, whatever its value."""
    found = {
        "gt": scores("gt", noisy(20, 7)),
        "a": scores("a", noisy(0, 1)),
        "b": scores("b", noisy(5, 2)),
        "easy": [dataclasses.replace(s, clip_id=f"x{s.clip_id}") for s in scores("easy", noisy(50, 3))],
    }
    rows = ranked(found, {"gt": GROUND_TRUTH})
    assert (rows["easy"].tie_group, rows["b"].mark) == (None, "best")


def test_order_of_methods_and_clips_changes_nothing():
    found = {"a": scores("a", noisy(0, 1)), "b": scores("b", noisy(0.3, 2)), "c": scores("c", noisy(0.1, 3))}
    turned = {name: part[::-1] for name, part in reversed(found.items())}
    assert ranked(found) == ranked(turned)


def test_many_methods_and_clips_take_no_time():
    """Ten methods, two metrics, 1,000 clips of 500 speakers, 2,000 resamples; twenty metrics take ten times as long."""
    random = np.random.default_rng(0)
    found: dict[str, list[ClipScore]] = {}
    for number in range(10):
        made = [scores(f"m{number}", random.normal(30 + number / 10, 3, 1000), name) for name in ("psnr", "lmd")]
        found[f"m{number}"] = made[0] + made[1]
    metrics = [get_metric("psnr"), get_metric("lmd")]
    began = time.process_time()
    rows = [row for method, part in found.items() for row in summarise(part, metrics, "d", "")]
    ranks = [row.tie_group for row in with_ties(rows, found, metrics)]
    assert time.process_time() - began < 2.0
    assert None not in ranks
