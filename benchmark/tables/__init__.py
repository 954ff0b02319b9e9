"""Leaderboards: score rows to CSV, Markdown, LaTeX, terminal, the Hub's YAML and the data of the HTML page."""

from pathlib import Path

from benchmark.tables.board import Board, GateResult, MethodFacts
from benchmark.tables.csv_tables import tidy_csv, wide_csv
from benchmark.tables.latex import latex
from benchmark.tables.markdown import markdown
from benchmark.tables.terminal import render_terminal
from chdtf.files import write_text

__all__ = ["Board", "GateResult", "MethodFacts", "render_terminal", "write_leaderboard"]


def write_leaderboard(board: Board, folder: Path) -> tuple[Path, ...]:
    """Write leaderboard.csv, leaderboard.md, leaderboard.tex and scores.csv below `folder`; returns their paths.

    The same board gives the same bytes, whatever the order of its rows.
    """
    texts = {
        "leaderboard.csv": wide_csv(board),
        "leaderboard.md": markdown(board),
        "leaderboard.tex": latex(board),
        "scores.csv": tidy_csv(board),
    }
    for name, text in texts.items():
        write_text(folder / name, text)
    return tuple(folder / name for name in texts)
