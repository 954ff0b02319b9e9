import math
from typing import Any

import pytest

from benchmark.gates import GATES, judge_gates
from benchmark.metric import get_metric
from benchmark.summary import CONTROL, GROUND_TRUTH, METHOD, PAPER, ScoreRow
from benchmark.tables.board import FAILED, NOT_JUDGED, PASSED, GateResult, MethodFacts

KINDS = {"gt": GROUND_TRUTH, "gt_shifted": CONTROL, "gt_shuffled": CONTROL, "still": CONTROL}
GOOD = {
    "lse_c": {"gt": 7.0, "gt_shifted": 1.0, "gt_shuffled": 1.2, "still": 0.8, "m": 5.0},
    "psnr": {"gt": math.inf, "gt_shifted": math.inf, "gt_shuffled": math.inf, "still": 22.0, "m": 20.0},
    "lmd": {"gt": 0.0, "gt_shifted": 0.0, "gt_shuffled": 0.0, "still": 3.0, "m": 2.0},
    "blink": {"gt": 0.4, "gt_shifted": 0.4, "gt_shuffled": 0.4, "still": 0.0, "m": 0.1},
}


def row(method: str, metric: str, value: float | None, reasons: Any = (), origin: str = "measured") -> ScoreRow:
    return ScoreRow(
        method, "d", "all", "test", metric, value, None, None, 4 - len(reasons), 4, 0, reasons, origin, "",
        KINDS.get(method, METHOD),
    )  # fmt: skip


def judged(
    changes: dict[tuple[str, str], Any] | None = None, facts: dict[str, MethodFacts] | None = None
) -> dict[str, GateResult]:
    """Verdicts where all is as it should be but for some cells; a cell that is changed to "" is missing."""
    cells = {(method, metric): value for metric, column in GOOD.items() for method, value in column.items()}
    cells |= changes or {}
    rows = [
        row(method, metric, *value) if isinstance(value, tuple) else row(method, metric, value)
        for (method, metric), value in cells.items()
        if value != ""
    ]
    metrics = [get_metric(metric) for metric in sorted({row.metric for row in rows})]
    return {gate.gate: gate for gate in judge_gates(rows, metrics, facts)}


def test_all_pass_where_everything_lands_where_it_should():
    found = judged()
    assert list(found) == [gate.name for gate in GATES]
    states = {name: gate.state for name, gate in found.items()}
    assert states.pop("shifted_offset") == NOT_JUDGED
    assert set(states.values()) == {PASSED}
    assert found["truth_copy"].metrics == ("lmd", "psnr")
    assert found["truth_copy"].detail == "LMD 0, 0 expected; PSNR inf, inf expected"


@pytest.mark.parametrize(
    ("change", "gate", "metric", "detail"),
    [
        ({("gt", "lse_c"): 0.7}, "truth_in_sync", "lse_c", "LSE-C 0.7, at least 1 expected"),
        ({("gt", "psnr"): 45.0}, "truth_copy", "psnr", "PSNR 45, inf expected"),
        ({("gt", "lmd"): 0.2}, "truth_copy", "lmd", "LMD 0.2, 0 expected"),
        ({("gt", "lmd"): (0.0, (("no_face: found in 0 of 9 frames", 1),))}, "truth_scored", "lmd", "LMD 1 of 4 clips"),
        ({("gt_shifted", "lse_c"): 6.0}, "shifted_sound", "lse_c", "LSE-C 6, ground truth 7"),
        ({("gt_shifted", "lmd"): 0.1}, "shifted_picture", "lmd", "LMD 0.1, ground truth 0"),
        ({("gt_shuffled", "lse_c"): 6.0}, "shuffled_sound", "lse_c", "LSE-C 6, ground truth 7"),
        ({("gt_shuffled", "psnr"): 40.0}, "shuffled_picture", "psnr", "PSNR 40, ground truth inf"),
        ({("still", "lse_c"): 5.0}, "still_sync", "lse_c", "LSE-C 5, ground truth 7"),
        ({("still", "blink"): 0.1}, "still_motion", "blink", "Blink 0.1, 0 expected"),
        ({("still", "psnr"): math.inf}, "still_copy", "psnr", "PSNR inf, ground truth inf"),
    ],
)
def test_each_gate_fails_on_what_it_is_for_and_on_nothing_else(change: Any, gate: str, metric: str, detail: str):
    found = judged(change)
    assert found[gate].state == FAILED
    assert found[gate].metrics == (metric,)
    assert detail in found[gate].detail
    others = {name for name, result in found.items() if result.state == FAILED} - {gate}
    if next(iter(change))[0] != "gt":  # a changed ground truth is compared with every control
        assert not others


def test_what_cannot_be_judged_says_why():
    why = (("weights_missing: syncnet_v2.model; run: disentbench weights fetch syncnet_v2", 4),)
    found = judged({(method, "lse_c"): (None, why) for method in KINDS})
    for name in ("truth_in_sync", "shifted_sound", "shuffled_sound", "still_sync"):
        assert found[name].state == NOT_JUDGED
        assert found[name].detail == "gt has no lse_c (weights_missing: syncnet_v2.model)"
    assert found["truth_copy"].state == PASSED
    found = judged({("gt_shuffled", metric): "" for metric in GOOD})
    assert found["shuffled_sound"].detail == "gt_shuffled was not scored"
    assert judged({("still", "lse_c"): ""})["still_sync"].detail == "still was not scored with lse_c"
    assert judged({("gt", metric): "" for metric in GOOD})["truth_copy"].detail == "no ground truth was scored"
    assert found["shifted_offset"].detail == "no metric that it concerns was measured"


def test_nothing_found_in_the_ground_truth_is_a_failure_and_no_excuse():
    found = judged({("gt", "lmd"): (None, (("no_face: found in 0 of 9 frames", 4),))})
    assert found["truth_scored"].state == FAILED


def test_csim_of_the_ground_truth_need_not_be_that_of_a_still_image():
    """It is measured against the first frame: a person who turns has less than one who does not move."""
    csim = {("gt", "csim"): 0.78, ("gt_shifted", "csim"): 0.78, ("gt_shuffled", "csim"): 0.78, ("still", "csim"): 0.99}
    found = judged(csim)
    assert (found["truth_copy"].state, found["still_copy"].state) == (PASSED, PASSED)
    assert judged({**csim, ("gt_shifted", "csim"): 0.7})["shifted_picture"].metrics == ("csim",)


def test_a_ground_truth_that_does_not_blink_is_no_failure():
    found = judged({(method, "blink_gt_distance"): 0.0 for method in KINDS})
    assert (found["truth_copy"].state, found["still_copy"].state) == (PASSED, PASSED)
    assert judged({("gt", "blink_gt_distance"): 0.2})["truth_copy"].metrics == ("blink_gt_distance",)


@pytest.mark.parametrize(("late", "state"), [(25, FAILED), (15, NOT_JUDGED), (-9, NOT_JUDGED)])
def test_a_shift_within_the_search_costs_no_confidence(late: int, state: str):
    facts = {"gt_shifted": MethodFacts(CONTROL, audio_shift_frames=late)}
    assert judged({("gt_shifted", "lse_c"): 6.9}, facts)["shifted_sound"].state == state


def test_paper_rows_are_not_judged():
    rows = [row("gt", "lse_c", 0.2, origin=PAPER)]
    assert judge_gates(rows, [get_metric("lse_c")]) == ()
