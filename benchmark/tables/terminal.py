"""The leaderboard for a terminal: no intervals; footnotes and gates below."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from benchmark.metric import MetricBase
from benchmark.summary import CONTROL
from benchmark.tables.board import NOT_JUDGED, Board, Line
from benchmark.tables.cells import Notes, cell_text, column_groups
from benchmark.ties import BEST, SECOND

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

_STYLES = {BEST: "bold", SECOND: "underline", "": ""}


def render_terminal(board: Board) -> "Group":
    """Tables of a few columns each, one after another."""
    from rich.console import Group
    from rich.text import Text

    notes = Notes()
    parts: list[Table | Text] = []
    for (dataset, split), lines in board.tables().items():
        present = [metric for metric in board.metrics() if any(metric.name in line.cells for line in lines)]
        for title, group in column_groups(present):
            parts.append(_table(f"{dataset}, {split}" + f": {title}" * bool(title), lines, group, notes))
        parts += [
            Text(f"GATE FAILED: {gate.gate}: {gate.claim}: {gate.detail}", style="bold red")
            for gate in board.failed(dataset, split)
        ]
    unknown = [gate.gate for gate in board.gates if gate.state == NOT_JUDGED]
    if unknown:
        parts.append(Text(f"gates not judged, see leaderboard.md: {', '.join(dict.fromkeys(unknown))}"))
    if any(row.tie_group for row in board.rows):
        parts.append(Text("#n: 1 + the number of methods that are better beyond chance; all of #1 may be the best"))
    parts += [Text(text) for text in (*board.notes, *notes.lines())]
    return Group(*parts)


def _table(title: str, lines: Sequence[Line], metrics: Sequence[MetricBase], notes: Notes) -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left")
    table.add_column("method", no_wrap=True)
    for metric in metrics:
        variant = f"\nvariant of {metric.variant_of}" if metric.variant_of else ""
        below = metric.heading.removeprefix(metric.label).strip()
        table.add_column(Text(f"{metric.label}\n{below}{variant}"), justify="right", no_wrap=True)
    for line in lines:
        cells = [_cell(line, metric, notes) for metric in metrics]
        if any(metric.name in line.cells for metric in metrics):
            style = "dim" if line.first.kind == CONTROL or line.is_paper else None
            table.add_row(Text(line.title), *cells, style=style)
    return table


def _cell(line: Line, metric: MetricBase, notes: Notes) -> "Text":
    from rich.text import Text

    row = line.cells.get(metric.name)
    if row is None and line.is_paper:
        return Text("-")
    return Text(cell_text(metric, row, notes, with_interval=False), style=_STYLES[row.mark if row else ""])
