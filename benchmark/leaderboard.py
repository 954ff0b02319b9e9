"""Score rows to tables: leaderboard.csv (a row per method), scores.csv (a row per number), leaderboard.md, terminal.

Columns of leaderboard.csv: method, kind (ground_truth, method, control), dataset, split, origin, run_id, num_clips; for
every metric m: m, m_ci_low and m_ci_high (95 %), m_scored and m_expected (clips), m_infinite (infinite clips, left
out of a finite value), m_reasons (why clips are not scored). A value that could not be computed is
`null`, an infinite one `inf`. Units and directions stand in leaderboard.md and docs/metrics.md.
"""

import csv
import dataclasses
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.metric import MetricBase, get_metric
from benchmark.summary import ALL, CONTROL, GROUND_TRUTH, KINDS, METHOD, ScoreRow
from benchmark.withdrawn import is_withdrawn
from chdtf.files import write_text

if TYPE_CHECKING:
    from rich.table import Table

PAPER_ORDER = ("lse_c", "lmd", "blink", "cpbd", "psnr")  # Table I
_PER_METRIC = ("", "_ci_low", "_ci_high", "_scored", "_expected", "_infinite", "_reasons")
_COMMON = ("method", "kind", "dataset", "split", "origin", "run_id", "num_clips")


@dataclasses.dataclass(frozen=True)
class _Line:
    """One row of a table: a method on a data set, with its cells by metric name."""

    first: ScoreRow
    cells: dict[str, ScoreRow]

    @property
    def title(self) -> str:
        name, kind = self.first.method, self.first.kind
        return name if kind in (METHOD, name) else f"{name} ({kind.replace('_', ' ')})"


def _metrics(rows: Sequence[ScoreRow]) -> list[MetricBase]:
    names = {row.metric for row in rows}
    ordered = [name for name in PAPER_ORDER if name in names] + sorted(names - set(PAPER_ORDER))
    return [get_metric(name) for name in ordered]


def _sort_key(row: ScoreRow) -> tuple[object, ...]:
    return (row.dataset, row.split, KINDS.index(row.kind), row.method, row.origin, row.subset != ALL, row.subset)


def _lines(rows: Sequence[ScoreRow]) -> list[_Line]:
    """Rows over all clips, by data set and split; ground truth first, then methods by name, then controls."""
    grouped: dict[tuple[object, ...], list[ScoreRow]] = {}
    for row in sorted((row for row in rows if row.subset == ALL), key=_sort_key):
        grouped.setdefault(_sort_key(row), []).append(row)
    return [_Line(group[0], {row.metric: row for row in group}) for group in grouped.values()]


def number(value: float | None) -> str:
    """A value as the CSV files hold it: six significant digits, `null`, or `inf`."""
    return "null" if value is None else f"{value:.6g}"


def _reasons(row: ScoreRow) -> str:
    return "; ".join(
        f"{reason} ({clips} clips, not counted)"
        if is_withdrawn(reason)
        else f"{reason} ({clips} of {row.num_expected} clips)"
        for reason, clips in row.reasons
    )


def _csv(header: Sequence[str], lines: Sequence[Sequence[object]]) -> str:
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(lines)
    return sink.getvalue()


def wide_csv(rows: Sequence[ScoreRow]) -> str:
    """leaderboard.csv: one row per method."""
    metrics = _metrics(rows)
    header = [*_COMMON, *(metric.name + suffix for metric in metrics for suffix in _PER_METRIC)]
    table = []
    for line in _lines(rows):
        first = line.first
        num_clips = max(row.num_expected for row in line.cells.values())
        out: list[object] = [first.method, first.kind, first.dataset, first.split]
        out += [first.origin, first.run_id, num_clips]
        for metric in metrics:
            row = line.cells.get(metric.name)
            if row is None:
                out += ["null", "null", "null", 0, 0, 0, "not measured"]
                continue
            out += [number(row.value), number(row.ci_low), number(row.ci_high)]
            out += [row.num_scored, row.num_expected, row.num_infinite, _reasons(row)]
        table.append(out)
    return _csv(header, table)


def tidy_csv(rows: Sequence[ScoreRow]) -> str:
    """scores.csv: one row per number, subsets included."""
    names = [field.name for field in dataclasses.fields(ScoreRow)]
    order = {metric.name: index for index, metric in enumerate(_metrics(rows))}
    table = []
    for row in sorted(rows, key=lambda row: (*_sort_key(row), order[row.metric])):
        values = {name: getattr(row, name) for name in names}
        values |= {name: number(values[name]) for name in ("value", "ci_low", "ci_high")}
        values["reasons"] = _reasons(row)
        table.append([values[name] for name in names])
    return _csv(names, table)


def _best(metric: MetricBase, lines: Sequence[_Line]) -> ScoreRow | None:
    """The best method's row, when at least two methods have a finite value over all of their clips."""
    found = [line.cells[metric.name] for line in lines if line.first.kind == METHOD and metric.name in line.cells]
    values = {row: row.value for row in found if row.value is not None and row.num_scored == row.num_expected}
    if len(values) < 2:
        return None
    if metric.higher_is_better is not None:
        sign = 1 if metric.higher_is_better else -1
        return max(values, key=lambda row: sign * (values[row] or 0.0))
    truth = [line.cells[metric.name].value for line in lines if line.first.kind == GROUND_TRUTH]
    if not truth or truth[0] is None:
        return None
    target = truth[0]
    return min(values, key=lambda row: abs((values[row] or 0.0) - target))


class _Notes:
    """Footnotes, numbered as they are first used."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def mark(self, text: str) -> str:
        """`[n]` of this text."""
        if text not in self.texts:
            self.texts.append(text)
        return f"[{self.texts.index(text) + 1}]"


def _cell(metric: MetricBase, row: ScoreRow | None, notes: _Notes, with_interval: bool) -> str:
    if row is None:
        return "null " + notes.mark("not measured")
    missing = [_reasons(row)] if row.reasons else []
    if row.value is None:
        if metric.all_or_none and row.num_scored:
            missing.append(f"{metric.label} is not averaged over a set with unscored clips")
        return "null " + notes.mark("; ".join(missing) or "no clips")
    text = f"{row.value:.{metric.digits}f}"
    if math.isinf(row.value):
        return f"{text} " + notes.mark(f"{metric.label} is infinite: every frame equals the reference")
    if with_interval and row.ci_low is not None and row.ci_high is not None:
        text += f" ({row.ci_low:.{metric.digits}f} to {row.ci_high:.{metric.digits}f})"
    if row.num_scored < row.num_expected:
        text += f", {row.num_scored}/{row.num_expected}"
    if missing:
        text += " " + notes.mark("; ".join(missing))
    if row.kind == GROUND_TRUTH and metric.truth_floor is not None and row.value < metric.truth_floor:
        text += " " + notes.mark(
            f"ground truth below {metric.truth_floor:g}: the pipeline is broken, trust no {metric.label}"
        )
    if row.num_infinite:
        text += " " + notes.mark(f"{row.num_infinite} infinite clips are left out of the mean")
    return text


def _groups(rows: Sequence[ScoreRow]) -> dict[tuple[str, str], list[_Line]]:
    groups: dict[tuple[str, str], list[_Line]] = {}
    for line in _lines(rows):
        groups.setdefault((line.first.dataset, line.first.split), []).append(line)
    return groups


def markdown(rows: Sequence[ScoreRow]) -> str:
    """leaderboard.md: a table per data set and split, with intervals, coverage and footnotes."""
    metrics = _metrics(rows)
    parts = ["# Leaderboard\n"]
    notes = _Notes()
    for (dataset, split), lines in _groups(rows).items():
        best = [_best(metric, lines) for metric in metrics]
        num_clips = max(row.num_expected for line in lines for row in line.cells.values())
        table = [["method", *(metric.heading for metric in metrics)], ["---", *("---:" for _ in metrics)]]
        for line in lines:
            cells = []
            for metric, winner in zip(metrics, best, strict=True):
                row = line.cells.get(metric.name)
                text = _cell(metric, row, notes, with_interval=True)
                cells.append(f"**{text}**" if row is not None and row is winner else text)
            table.append([line.title, *cells])
        parts.append(f"## {dataset}, {split}: {num_clips} clips\n")
        parts.append("\n".join(f"| {' | '.join(row)} |" for row in table) + "\n")
    parts.append(_legend(metrics))
    parts += [f"[{index}] {text}\n" for index, text in enumerate(notes.texts, 1)]
    return "\n".join(parts)


def _legend(metrics: Sequence[MetricBase]) -> str:
    text = "In parentheses: 95 % interval over clips. **Bold**: best method scored on all clips."
    if any(metric.higher_is_better is None for metric in metrics):
        text += " →GT: closest to the ground truth is best."
    return text + " Controls show what a metric does and does not see; they do not compete.\n"


def render_terminal(rows: Sequence[ScoreRow]) -> "Table":
    """The same table for a terminal, without intervals; footnotes are its caption."""
    from rich.table import Table
    from rich.text import Text

    metrics = _metrics(rows)
    groups = _groups(rows)
    notes = _Notes()
    table = Table(title=" · ".join(f"{dataset}, {split}" for dataset, split in groups), caption_justify="left")
    table.add_column("method", no_wrap=True)
    for metric in metrics:
        table.add_column(Text(metric.heading.replace(" ", "\n", 1)), justify="right", no_wrap=True)
    for lines in groups.values():
        for line in lines:
            cells = [_cell(metric, line.cells.get(metric.name), notes, with_interval=False) for metric in metrics]
            style = "dim" if line.first.kind == CONTROL else None
            table.add_row(*(Text(text) for text in (line.title, *cells)), style=style)
        table.add_section()
    if notes.texts:
        table.caption = Text("\n".join(f"[{index}] {text}" for index, text in enumerate(notes.texts, 1)))
    return table


def write_leaderboard(rows: Sequence[ScoreRow], folder: Path) -> tuple[Path, Path]:
    """Write leaderboard.csv, leaderboard.md and scores.csv below `folder`; returns the first two paths."""
    table, page = folder / "leaderboard.csv", folder / "leaderboard.md"
    write_text(table, wide_csv(rows))
    write_text(folder / "scores.csv", tidy_csv(rows))
    write_text(page, markdown(rows))
    return table, page
