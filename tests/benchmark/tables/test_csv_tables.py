import csv
import dataclasses
import io
import math
from collections.abc import Callable

import pandas as pd
import pytest

from benchmark.summary import ScoreRow
from benchmark.tables.board import Board, MethodFacts
from benchmark.tables.csv_tables import COMMON, LEADERBOARD_SCHEMA_VERSION, PER_METRIC, safe, tidy_csv, wide_csv


@pytest.fixture(scope="module")
def table(board: Board) -> pd.DataFrame:
    return pd.read_csv(io.StringIO(wide_csv(board)), keep_default_na=False, na_values=["null"])


def measured(table: pd.DataFrame) -> pd.DataFrame:
    return table[table.origin == "measured"].set_index("method")


def test_one_row_per_method_in_a_stable_order(board: Board, table: pd.DataFrame):
    turned = dataclasses.replace(board, rows=board.rows[::-1], facts=dict(reversed(board.facts.items())))
    assert wide_csv(turned) == wide_csv(board)
    assert list(table.method) == ["ground_truth", "antelope", "zebra", "still_image", "zebra"]
    assert list(table.origin) == ["measured"] * 4 + ["paper"]
    assert "nan" not in wide_csv(board)


def test_columns_are_the_documented_ones(table: pd.DataFrame):
    metrics = [
        "lse_c",
        "lmd",
        "blink",
        "psnr",
        "cpbd_unit_luma",
    ]  # as in the paper's Table I, then others, then variants
    assert list(table.columns) == [*COMMON, *(metric + suffix for metric in metrics for suffix in PER_METRIC)]
    assert set(table.schema_version) == {LEADERBOARD_SCHEMA_VERSION}


def test_values_intervals_coverage_and_ranks(table: pd.DataFrame):
    rows = measured(table)
    assert rows.loc["antelope", "lmd"] == 2.0
    assert rows.loc["antelope", "psnr"] == 19.1235
    assert rows.loc["ground_truth", "psnr"] == math.inf
    assert rows.loc["ground_truth", "psnr_infinite"] == 4
    assert rows.lse_c.isna().all()
    assert rows.loc["zebra", "lse_c_reasons"].startswith("weights_missing: syncnet_v2.model")
    assert rows.loc["zebra", "lse_c_reasons"].endswith("(4 of 4 clips)")
    assert rows.loc["zebra", "lse_c_scored"] == 0
    assert rows.loc["zebra", "lmd_ci_high"] == 3.0
    assert rows.loc["antelope", ["lmd_tie_group", "lmd_mark"]].tolist() == [1, "best"]
    assert math.isnan(rows.loc["still_image", "lmd_tie_group"])
    assert rows.loc["ground_truth", "cpbd_unit_luma_reasons"] == "not measured"


def test_what_is_known_of_methods_and_gates(table: pd.DataFrame):
    rows = measured(table)
    assert rows.loc["zebra", ["label", "input", "eye_blink"]].tolist() == ["Zebra & Co", "video", "hand craft"]
    assert set(rows.gates) == {"failed: still_motion (Blink 0.3, 0 expected) | passed: truth_copy"}
    paper = table[table.origin == "paper"].iloc[0]
    assert (paper.label, paper.run_id, paper.gates, paper.lmd) == ("Zebra", "Table I", "", 1.732)
    assert math.isnan(paper.num_clips)
    assert math.isnan(paper.lmd_expected)


def test_the_tidy_table_holds_every_number_and_subset(board: Board):
    text = tidy_csv(board)
    assert text == tidy_csv(dataclasses.replace(board, rows=board.rows[::-1]))
    table = pd.read_csv(io.StringIO(text))
    assert len(table) == len(board.rows)
    found = table.query("method == 'antelope' and metric == 'lmd'")
    assert found["value"].tolist() == [2.0, 9.0]
    assert list(table.columns) == [field.name for field in dataclasses.fields(ScoreRow)]


@pytest.mark.parametrize("evil", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\uff1d1"])
def test_no_text_is_a_formula(row: Callable[..., ScoreRow], evil: str):
    assert safe(evil) == f"'{evil.strip()}"
    rows = (row("m", "lmd", -1.5, reasons=((evil, 1),)), row("m", "psnr", 1.0, dataset=evil, run_id=evil))
    board = Board(rows, {"m": MethodFacts(label=evil, input=evil, eye_blink=evil)})
    for text in (wide_csv(board), tidy_csv(board)):
        cells = [cell for line in csv.reader(io.StringIO(text, newline="")) for cell in line]
        assert not [cell for cell in cells if cell.startswith(("=", "+", "@", "\t", "\r"))]
        assert {cell for cell in cells if cell.startswith("-")} == {"-1.5"}  # numbers stay numbers
