import dataclasses
import io
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from rich.console import Console

from benchmark.leaderboard import markdown, render_terminal, tidy_csv, wide_csv, write_leaderboard
from benchmark.summary import CONTROL, GROUND_TRUTH, METHOD, ScoreRow

FETCH = "weights_missing: syncnet_v2.model; run: disentbench weights fetch syncnet_v2"


def row(method: str, metric: str, value: float | None, kind: str = METHOD, **changes: Any) -> ScoreRow:
    made = ScoreRow(method, "sample", "all", "test", metric, value, None, None, 4, 4, 0, (), "measured", "r1", kind)
    return dataclasses.replace(made, **changes)


@pytest.fixture
def rows() -> list[ScoreRow]:
    made = []
    methods = ((METHOD, "zebra", 2.5, 21.0), (CONTROL, "still_image", 3.0, 22.5), (METHOD, "antelope", 2.0, 19.123456))
    for kind, name, lmd, psnr in methods:
        made.append(row(name, "lmd", lmd, kind, ci_low=lmd - 0.5, ci_high=lmd + 0.5))
        made.append(row(name, "psnr", psnr, kind))
        made.append(row(name, "blink", 0.1 * lmd, kind))
        made.append(row(name, "lse_c", None, kind, num_scored=0, reasons=((FETCH, 4),)))
    made.append(row("ground_truth", "psnr", math.inf, GROUND_TRUTH, num_infinite=4))
    made.append(row("ground_truth", "lmd", 0.0, GROUND_TRUTH))
    made.append(row("ground_truth", "blink", 0.26, GROUND_TRUTH))
    made.append(row("ground_truth", "lse_c", None, GROUND_TRUTH, num_scored=0, reasons=((FETCH, 4),)))
    made.append(row("antelope", "lmd", 9.0, subset="zh"))
    return made


def test_wide_csv_has_one_row_per_method_in_a_stable_order(rows: list[ScoreRow]):
    text = wide_csv(rows)
    assert text == wide_csv(rows[::-1])
    table = pd.read_csv(io.StringIO(text)).set_index("method")
    assert list(table.index) == ["ground_truth", "antelope", "zebra", "still_image"]
    assert table.loc["antelope", "lmd"] == 2.0
    assert table.loc["antelope", "psnr"] == 19.1235
    assert table.loc["ground_truth", "psnr"] == math.inf
    assert table.loc["ground_truth", "psnr_infinite"] == 4
    assert table["lse_c"].isna().all()
    assert table.loc["zebra", "lse_c_reasons"] == f"{FETCH} (4 of 4 clips)"
    assert table.loc["zebra", "lse_c_scored"] == 0
    assert table.loc["zebra", "lmd_ci_high"] == 3.0
    columns = [name for name in table.columns if name in {"lse_c", "lmd", "blink", "psnr"}]
    assert columns == ["lse_c", "lmd", "blink", "psnr"]  # as in the paper's Table I
    assert "null" in text
    assert "nan" not in text


def test_tidy_csv_holds_every_number_and_subset(rows: list[ScoreRow]):
    text = tidy_csv(rows)
    assert text == tidy_csv(rows[::-1])
    table = pd.read_csv(io.StringIO(text))
    assert len(table) == len(rows)
    assert table.query("method == 'antelope' and metric == 'lmd'")["value"].tolist() == [2.0, 9.0]


def test_markdown_marks_direction_null_infinity_best_and_controls(rows: list[ScoreRow]):
    text = markdown(rows)
    assert "| method | LSE-C ↑ | LMD [px] ↓ | Blink [1/s] →GT | PSNR [dB] ↑ |" in text
    assert "## sample, test: 4 clips" in text
    assert "| antelope | null [1] | **2.000 (1.500 to 2.500)** | 0.200 | 19.12 |" in text
    assert "| zebra | null [1] | 2.500 (2.000 to 3.000) | **0.250** | **21.00** |" in text
    assert "| still_image (control) |" in text
    assert "| ground_truth | null [1] | 0.000 | 0.260 | inf [2] |" in text
    assert f"[1] {FETCH} (4 of 4 clips)" in text
    assert "[2] PSNR is infinite: every frame equals the reference" in text


def test_incomplete_coverage_is_printed_and_cannot_win():
    reasons = (("missing_video: c.mp4", 1),)
    text = markdown([row("a", "lmd", 1.0, num_scored=3, reasons=reasons), row("b", "lmd", 2.0), row("c", "lmd", 3.0)])
    assert "| a | 1.000, 3/4 [1] |" in text
    assert "| b | **2.000** |" in text
    assert "[1] missing_video: c.mp4 (1 of 4 clips)" in text


def test_a_set_that_may_not_be_averaged_says_so():
    text = markdown([row("a", "lse_c", None, num_scored=3, reasons=(("no_face: 0 of 9", 1),))])
    assert "LSE-C is not averaged over a set with unscored clips" in text


def test_partly_infinite_sets_are_marked():
    text = markdown([row("a", "psnr", 30.0, num_infinite=1)])
    assert "| a | 30.00 [1] |" in text
    assert "[1] 1 infinite clips are left out of the mean" in text


def test_a_ground_truth_out_of_sync_is_called_broken():
    text = markdown([row("ground_truth", "lse_c", 0.7, GROUND_TRUTH), row("a", "lse_c", 0.8)])
    assert "| ground_truth | 0.700 [1] |" in text
    assert "[1] ground truth below 1: the pipeline is broken, trust no LSE-C" in text
    assert "| a | 0.800 |" in text


def test_a_metric_that_a_method_lacks_is_null():
    rows = [row("a", "lmd", 1.0), row("b", "psnr", 20.0)]
    assert "| a | 1.000 | null [1] |" in markdown(rows)
    assert pd.read_csv(io.StringIO(wide_csv(rows)))["psnr_reasons"].tolist()[0] == "not measured"


def test_terminal_table_says_the_same(rows: list[ScoreRow]):
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(render_terminal(rows))
    text = " ".join(console.export_text().split())  # a caption is folded at the table's width
    for expected in ("LSE-C", "LMD", "┃ ↑ ┃ [px] ↓ ┃", "null [1]", "inf [2]", "still_image (control)", FETCH):
        assert expected in text


def test_all_three_files_are_written(rows: list[ScoreRow], tmp_path: Path):
    table, page = write_leaderboard(rows, tmp_path / "out")
    assert (table.name, page.name) == ("leaderboard.csv", "leaderboard.md")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "leaderboard.csv",
        "leaderboard.md",
        "scores.csv",
    ]
