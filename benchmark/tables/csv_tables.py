"""leaderboard.csv, a row per method and data set, and scores.csv, a row per number.

Columns of leaderboard.csv, `LEADERBOARD_SCHEMA_VERSION` 2 (later versions add columns at the end of a block and raise
the number when a meaning changes):

    schema_version                   2
    method, label, kind              name; as printed; ground_truth, method or control
    origin                           measured, or paper: printed there (`run_id` says in which table)
    dataset, split                   of all clips; single languages are in scores.csv
    input, eye_blink                 image or video; where blinks come from; empty where not known
    run_id, clip_set                 rows compare only where `clip_set` (clips and their references) is the same
    num_clips, num_speakers          clips expected; speakers scored with any metric
    gates                            verdicts on data set and split:
                                     `failed: NAME (what was found); ... | not judged: NAME (why) | passed: NAME`

and for every metric m

    m                                value, `null` where it could not be computed, `inf` where infinite
    m_ci_low, m_ci_high              95 % interval
    m_scored, m_expected, m_infinite clips; infinite ones are left out of a finite value
    m_tie_group                      1 + number of methods that are better beyond chance; null: not ranked
    m_mark                           best or second where nothing is tied with it, else empty
    m_reasons                        why clips are not scored, with their number
    m_interval_reason, m_note        why there is no interval; what must be said beside the value

Numbers have six significant digits. Text that a spreadsheet would take for a formula begins with an apostrophe.
"""

import csv
import dataclasses
import io
from collections.abc import Sequence

from benchmark.summary import PAPER, ScoreRow
from benchmark.tables.board import FAILED, NOT_JUDGED, PASSED, Board, Line, num_clips
from benchmark.tables.cells import reasons_text

LEADERBOARD_SCHEMA_VERSION = 2
COMMON = (
    *("schema_version", "method", "label", "kind", "origin", "dataset", "split", "input", "eye_blink", "run_id"),
    *("clip_set", "num_clips", "num_speakers", "gates"),
)
PER_METRIC = (
    *("", "_ci_low", "_ci_high", "_scored", "_expected", "_infinite", "_tie_group", "_mark", "_reasons"),
    *("_interval_reason", "_note"),
)
_MISSING = ("null", "null", "null", 0, 0, 0, "null", "", "not measured", "", "")
_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # the last four are their full-width forms


def number(value: float | None) -> str:
    """A value as the CSV files hold it: six significant digits, `null`, or `inf`."""
    return "null" if value is None else f"{value:.6g}"


def safe(text: str) -> str:
    """Text on one line that no spreadsheet runs as a formula."""
    line = " ".join(text.split())
    return f"'{line}" if line.startswith(_FORMULA) else line


def wide_csv(board: Board) -> str:
    """leaderboard.csv."""
    metrics = board.metrics()
    header = [*COMMON, *(metric.name + suffix for metric in metrics for suffix in PER_METRIC)]
    table = []
    for line in board.lines():
        out = _common(board, line)
        for metric in metrics:
            row = line.cells.get(metric.name)
            out += _MISSING if row is None else _cells(row)
        table.append(out)
    return _csv(header, table)


def _common(board: Board, line: Line) -> list[object]:
    first, facts = line.first, line.facts
    clips: object = "null" if line.is_paper else num_clips([line])
    speakers: object = "null" if line.is_paper else max(row.num_speakers for row in line.cells.values())
    gates = "" if line.is_paper else gates_text(board, first.dataset, first.split)
    names = [first.method, facts.label, first.kind, first.origin, first.dataset, first.split]
    return [
        LEADERBOARD_SCHEMA_VERSION,
        *(safe(text) for text in [*names, facts.input, facts.eye_blink, first.run_id, first.clip_set]),
        clips,
        speakers,
        safe(gates),
    ]


def _cells(row: ScoreRow) -> list[object]:
    counts: list[object] = [row.num_scored, row.num_expected, row.num_infinite]
    if row.origin == PAPER:
        counts = ["null"] * 3
    group: object = "null" if row.tie_group is None else row.tie_group
    texts = [safe(text) for text in (reasons_text(row), row.interval_reason, row.note)]
    return [number(row.value), number(row.ci_low), number(row.ci_high), *counts, group, row.mark, *texts]


def gates_text(board: Board, dataset: str, split: str) -> str:
    """Verdicts of all gates on a data set and split in one line, the failed first."""
    found = [gate for gate in board.gates if (gate.dataset, gate.split) == (dataset, split)]
    parts = []
    for state in (FAILED, NOT_JUDGED, PASSED):
        told = [
            gate.gate if state == PASSED else f"{gate.gate} ({gate.detail})" for gate in found if gate.state == state
        ]
        if told:
            parts.append(f"{state}: {'; '.join(told)}")
    return " | ".join(parts)


def tidy_csv(board: Board) -> str:
    """scores.csv: one row per number, subsets included, with the fields of `benchmark.summary.ScoreRow`."""
    names = [field.name for field in dataclasses.fields(ScoreRow)]
    order = {metric.name: index for index, metric in enumerate(board.metrics())}
    table = []
    for line in board.lines(subset=None):
        for row in sorted(line.cells.values(), key=lambda row: (order.get(row.metric, len(order)), row.metric)):
            table.append([_field(row, name) for name in names])
    return _csv(names, table)


def _field(row: ScoreRow, name: str) -> object:
    if name in ("value", "ci_low", "ci_high"):
        return number(getattr(row, name))
    value: object = reasons_text(row) if name == "reasons" else getattr(row, name)
    if isinstance(value, str):
        return safe(value)
    return "null" if value is None else value


def _csv(header: Sequence[str], lines: Sequence[Sequence[object]]) -> str:
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(lines)
    return sink.getvalue()
