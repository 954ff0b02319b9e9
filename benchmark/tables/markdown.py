"""leaderboard.md: tables with intervals, coverage, ranks, gates and footnotes."""

import re
from collections.abc import Sequence

from benchmark.metric import MetricBase
from benchmark.tables.board import Board, GateResult, Line, num_clips
from benchmark.tables.cells import Notes, cell_text, column_groups, heading, legend
from benchmark.ties import BEST, SECOND

_MARKS = {BEST: ("**", "**"), SECOND: ("<ins>", "</ins>"), "": ("", "")}


def markdown(board: Board) -> str:
    """A section per data set and split; in it the paper's metrics, further ones, and variants, each in a table."""
    metrics = board.metrics()
    notes = Notes()
    parts = ["# Leaderboard\n"]
    for (dataset, split), lines in board.tables().items():
        parts.append(f"## {dataset}, {split}{_size(lines)}\n")
        parts += [f"{_failure(gate)}\n" for gate in board.failed(dataset, split)]
        present = [metric for metric in metrics if any(metric.name in line.cells for line in lines)]
        for title, group in column_groups(present):
            parts += [f"### {title}\n"] if title else []
            shown = [line for line in lines if any(metric.name in line.cells for metric in group)]
            parts.append(_table(shown, group, notes))
    parts.append(" ".join(legend(metrics, board)) + "\n")
    parts += [f"{note}\n" for note in (*board.notes, *notes.lines())]
    return "\n".join([*parts, *_gates(board.gates)])


def _size(lines: Sequence[Line]) -> str:
    measured = [line for line in lines if not line.is_paper]
    if not measured:
        return ""
    clips, speakers = num_clips(measured), max(row.num_speakers for line in measured for row in line.cells.values())
    return f": {clips} clip{'s' * (clips != 1)}, {speakers} speaker{'s' * (speakers != 1)}"


def _table(lines: Sequence[Line], metrics: Sequence[MetricBase], notes: Notes) -> str:
    table = [
        ["method", "input", "eye blink", *(heading(metric) for metric in metrics)],
        ["---", "---", "---", *("---:" for _ in metrics)],
    ]
    for line in lines:
        cells = [_marked(line, metric, notes) for metric in metrics]
        table.append([_name(line.title), line.facts.input or "-", line.facts.eye_blink or "-", *cells])
    return "\n".join(f"| {' | '.join(_escaped(cell) for cell in row)} |" for row in table) + "\n"


def _marked(line: Line, metric: MetricBase, notes: Notes) -> str:
    row = line.cells.get(metric.name)
    if row is None and line.is_paper:
        return "-"
    before, after = _MARKS[row.mark if row else ""]
    return f"{before}{cell_text(metric, row, notes, with_interval=True)}{after}"


def _name(title: str) -> str:
    """A method's name, of which nothing is taken for markup."""
    return re.sub(r"([\\`*<\[])", r"\\\1", title)


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|").replace("\n", " ")


def _failure(gate: GateResult) -> str:
    return f"> **Gate failed: {gate.gate}.** Expected: {gate.claim}. Found: {gate.detail}. Do not trust this table."


def _gates(gates: Sequence[GateResult]) -> list[str]:
    if not gates:
        return []
    table = [["data set", "gate", "expected", "verdict", "found"], ["---"] * 5]
    table += [[f"{g.dataset}, {g.split}", g.gate, g.claim, g.state, g.detail] for g in gates]
    rows = "\n".join(f"| {' | '.join(_escaped(cell) for cell in row)} |" for row in table)
    return [f"## Gates\n\n{rows}\n"]
