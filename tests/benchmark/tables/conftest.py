"""A small leaderboard, shared by the tests of its formats."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import pytest

from benchmark.summary import CONTROL, GROUND_TRUTH, METHOD, PAPER, ScoreRow
from benchmark.tables.board import FAILED, PASSED, Board, GateResult, MethodFacts

FETCH = "weights_missing: syncnet_v2.model; run: disentbench weights fetch syncnet_v2"
FACTS = {
    "ground_truth": MethodFacts(GROUND_TRUTH, "Ground truth", "video", "from reference"),
    "antelope": MethodFacts(METHOD, "Antelope", "image", "generated", "Diffusion-based"),
    "zebra": MethodFacts(METHOD, "Zebra & Co", "video", "hand craft", "Deterministic-based"),
    "still_image": MethodFacts(CONTROL, "Still image", "image", "none"),
}


def make_row(method: str, metric: str, value: float | None, kind: str = METHOD, **changes: Any) -> ScoreRow:
    made = ScoreRow(method, "sample", "all", "test", metric, value, None, None, 4, 4, 0, (), "measured", "r1", kind)
    return dataclasses.replace(made, **changes)


@pytest.fixture(scope="session")
def row() -> Callable[..., ScoreRow]:
    """Factory of rows of one data set."""
    return make_row


@pytest.fixture(scope="session")
def rows() -> tuple[ScoreRow, ...]:
    """Three methods, ground truth, a control, a language, and a row of the paper."""
    made = []
    methods = ((METHOD, "zebra", 2.5, 21.0), (CONTROL, "still_image", 3.0, 22.5), (METHOD, "antelope", 2.0, 19.123456))
    for kind, name, lmd, psnr in methods:
        ranked: dict[str, Any] = {"tie_group": 1, "mark": "best"} if name == "antelope" else {"tie_group": 2}
        ranked = ranked if kind == METHOD else {}
        made.append(make_row(name, "lmd", lmd, kind, ci_low=lmd - 0.5, ci_high=lmd + 0.5, num_speakers=7, **ranked))
        made.append(make_row(name, "psnr", psnr, kind, mark="second" if name == "zebra" else ""))
        made.append(make_row(name, "blink", 0.1 * lmd, kind, tie_group=1 if kind == METHOD else None))
        made.append(make_row(name, "lse_c", None, kind, num_scored=0, reasons=((FETCH, 4),)))
        made.append(make_row(name, "cpbd_unit_luma", 0.7, kind))
    made.append(make_row("ground_truth", "psnr", math.inf, GROUND_TRUTH, num_infinite=4))
    made.append(make_row("ground_truth", "lmd", 0.0, GROUND_TRUTH))
    made.append(make_row("ground_truth", "blink", 0.26, GROUND_TRUTH))
    made.append(make_row("ground_truth", "lse_c", None, GROUND_TRUTH, num_scored=0, reasons=((FETCH, 4),)))
    made.append(make_row("antelope", "lmd", 9.0, subset="zh"))
    made.append(
        make_row("zebra", "lmd", 1.732, origin=PAPER, label="Zebra", run_id="Table I", num_scored=0, num_expected=0)
    )
    return tuple(made)


@pytest.fixture(scope="session")
def board(rows: tuple[ScoreRow, ...]) -> Board:
    """The rows with facts, a gate that failed and one that passed, and a note."""
    gates = (
        GateResult("truth_copy", "the ground truth equals itself", "sample", "test", PASSED, "PSNR inf", ("psnr",)),
        GateResult(
            "still_motion", "still neither blinks", "sample", "test", FAILED, "Blink 0.3, 0 expected", ("blink",)
        ),
    )
    return Board(rows, FACTS, {"zebra": MethodFacts(METHOD, "Zebra", "video")}, gates, ("a note on all",))
