import io
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from benchmark.summary import GROUND_TRUTH, ScoreRow
from benchmark.tables import render_terminal, write_leaderboard
from benchmark.tables.board import Board
from benchmark.tables.cells import COLUMNS_PER_TABLE, column_groups
from benchmark.tables.markdown import markdown

Row = Callable[..., ScoreRow]
FETCH = "weights_missing: syncnet_v2.model; run: disentbench weights fetch syncnet_v2"


def plain(*rows: ScoreRow) -> str:
    return markdown(Board(rows))


def test_direction_null_infinity_ranks_and_controls(board: Board):
    text = markdown(board)
    assert "| method | input | eye blink | LSE-C ↑ | LMD [px] ↓ | Blink [1/s] →GT | PSNR [dB] ↑ |" in text
    assert "## sample, test: 4 clips, 7 speakers" in text
    assert "| antelope | image | generated | null [1] | **2.000 (1.500 to 2.500) #1** | 0.200 #1 | 19.12 |" in text
    assert "| zebra | video | hand craft | null [1] | 2.500 (2.000 to 3.000) #2 | 0.250 #1 | <ins>21.00</ins> |" in text
    assert "| still_image (control) | image | none | null [1] | 3.000 (2.500 to 3.500) |" in text
    assert "| ground_truth | video | from reference | null [1] | 0.000 | 0.260 | inf [2] |" in text
    assert f"[1] {FETCH} (4 of 4 clips)" in text
    assert "[2] PSNR is infinite: every frame equals the reference" in text
    assert "a note on all" in text


def test_rows_of_the_paper_stand_below_and_apart(board: Board):
    text = markdown(board)
    assert "| Zebra (paper) | video | - | - | 1.732 | - | - |" in text
    assert text.index("Zebra (paper)") > text.index("still_image")
    assert "they enter no mean, rank or tie" in text
    assert "(paper)" not in plain(*(row for row in board.rows if row.origin == "measured"))


def test_a_failed_gate_stands_above_its_table(board: Board):
    text = markdown(board)
    warning = "> **Gate failed: still_motion.** Expected: still neither blinks. Found: Blink 0.3, 0 expected."
    assert text.index(warning) < text.index("| antelope |")
    assert "| sample, test | truth_copy | the ground truth equals itself | passed | PSNR inf |" in text


def test_variants_are_marked_and_apart(board: Board):
    text = markdown(board)
    part = text[text.index("### Paper-compatible variants, never ranked") :]
    assert "variant of cpbd |" in part.splitlines()[2]
    assert "| antelope | image | generated | 0.700 |" in part
    assert "ground_truth" not in part.partition("In parentheses")[0]  # it was not measured


def test_wide_tables_are_cut(row: Row):
    names = ("ssim", "lpips", "csim", "f_lmd", "ear", "av_offset", "lse_d", "lpips_consecutive", "mouth_open_corr")
    board = Board(tuple(row("a", name, 1.0) for name in (*names, "psnr")))
    widths = [(title, len(group)) for title, group in column_groups(board.metrics())]
    assert widths == [("", 1), ("Further metrics", 5), ("", 4)]
    assert max(width for _, width in widths) <= COLUMNS_PER_TABLE


def test_incomplete_coverage_is_printed(row: Row):
    text = plain(row("a", "lmd", 1.0, num_scored=3, reasons=(("missing_video: c.mp4", 1),)), row("b", "lmd", 2.0))
    assert "| a | - | - | 1.000, 3/4 [1] |" in text
    assert "[1] missing_video: c.mp4 (1 of 4 clips)" in text


def test_a_set_that_may_not_be_averaged_says_so(row: Row):
    text = plain(row("a", "lse_c", None, num_scored=3, reasons=(("no_face: 0 of 9", 1),)))
    assert "LSE-C is not averaged over a set with unscored clips" in text


def test_partly_infinite_sets_and_remarks_of_the_metric_are_marked(row: Row):
    assert "| a | - | - | 30.00 [1] |" in (text := plain(row("a", "psnr", 30.0, num_infinite=1)))
    assert "[1] 1 infinite clips are left out of the mean" in text
    assert "[1] 200 frames, biased upwards" in plain(row("a", "fid", 30.0, note="200 frames, biased upwards"))


def test_why_there_is_no_interval_is_said_once(row: Row):
    why = "too_few_speakers: 2, at least 6 needed"
    text = plain(*(row(name, "lmd", 1.0, interval_reason=why) for name in "abc"))
    assert text.count(why) == 1


def test_the_legend_tells_only_of_what_is_there(board: Board, row: Row):
    told = ("In parentheses", "#n:", "→GT:", "Controls show", "Rows (paper)")
    assert [word for word in told if word in markdown(board)] == list(told)
    assert not [word for word in told if word in plain(row("a", "lmd", 1.0))]


def test_a_ground_truth_out_of_sync_is_called_broken(row: Row):
    text = plain(row("ground_truth", "lse_c", 0.7, GROUND_TRUTH), row("a", "lse_c", 0.8))
    assert "| ground_truth | - | - | 0.700 [1] |" in text
    assert "[1] ground truth below 1: the pipeline is broken, trust no LSE-C" in text
    assert "| a | - | - | 0.800 |" in text


def test_a_metric_that_a_method_lacks_is_null(row: Row):
    assert "| a | - | - | 1.000 | null [1] |" in plain(row("a", "lmd", 1.0), row("b", "psnr", 20.0))


def test_a_bar_in_a_reason_breaks_no_table(row: Row):
    text = plain(row("a|b", "lmd", 1.0))
    assert "| a\\|b | - |" in text


def test_names_are_no_markup(row: Row):
    assert r"| \*a\* \<b> \`c\` \[d](e) | - |" in plain(row("*a* <b> `c` [d](e)", "lmd", 1.0))
    assert r"| a\\\|b |" in plain(row("a\\|b", "lmd", 1.0))  # an escaped backslash, then an escaped bar


@pytest.mark.parametrize("width", [80, 120])
def test_the_terminal_says_the_same(board: Board, width: int):
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(render_terminal(board))
    text = " ".join(console.export_text().split())
    for expected in (
        *("LSE-C", "LMD", "[px] ↓", "null [1]", "inf [2]", "still_image (control)", "Zebra (paper)", FETCH),
        *("GATE FAILED: still_motion", "2.000 #1", "variant of cpbd", "a note on all"),
    ):
        assert expected in text
    assert max(map(len, console.export_text().splitlines() or [""])) <= width


def test_all_files_are_written(board: Board, tmp_path: Path):
    written = write_leaderboard(board, tmp_path / "out")
    assert [path.name for path in written] == ["leaderboard.csv", "leaderboard.md", "leaderboard.tex", "scores.csv"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(path.name for path in written)
