"""Tables of score rows alone, without facts, gates and ranks; see `benchmark.tables`, which this wraps."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark import tables
from benchmark.summary import ScoreRow
from benchmark.tables.board import Board

if TYPE_CHECKING:
    from rich.console import Group


def render_terminal(rows: Sequence[ScoreRow]) -> "Group":
    """See `benchmark.tables.terminal`."""
    return tables.render_terminal(Board(tuple(rows)))


def write_leaderboard(rows: Sequence[ScoreRow], folder: Path) -> tuple[Path, Path]:
    """Write all tables below `folder`; returns the paths of leaderboard.csv and leaderboard.md."""
    table, page, *_ = tables.write_leaderboard(Board(tuple(rows)), folder)
    return table, page
