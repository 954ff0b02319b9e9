"""What a cell says, in any format: value, interval, coverage, rank, and footnotes."""

import math
from collections.abc import Sequence

from benchmark.metric import MetricBase
from benchmark.summary import CONTROL, GROUND_TRUTH, PAPER, ScoreRow
from benchmark.tables.board import PAPER_ORDER, Board
from benchmark.withdrawn import is_withdrawn

PAPER_DIGITS = 3  # of every number that the paper prints
COLUMNS_PER_TABLE = 6  # of further metrics, so that a table fits a page and a terminal


class Notes:
    """Footnotes, numbered as they are first used."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def mark(self, text: str) -> str:
        """`[n]` of this text."""
        if text not in self.texts:
            self.texts.append(text)
        return f"[{self.texts.index(text) + 1}]"

    def lines(self) -> list[str]:
        """`[n] text` of each."""
        return [f"[{index}] {text}" for index, text in enumerate(self.texts, 1)]


def reasons_text(row: ScoreRow) -> str:
    """Why clips were not scored, with their number."""
    return "; ".join(
        f"{reason} ({clips} clips, not counted)"
        if is_withdrawn(reason)
        else f"{reason} ({clips} of {row.num_expected} clips)"
        for reason, clips in row.reasons
    )


def value_text(metric: MetricBase, row: ScoreRow) -> str:
    """A value as tables print it: with the metric's digits, or the paper's three."""
    if row.value is None:
        return "null"
    return f"{row.value:.{PAPER_DIGITS if row.origin == PAPER else metric.digits}f}"


def interval_text(metric: MetricBase, row: ScoreRow) -> str:
    """` (low to high)`, or nothing where there is no interval."""
    if row.ci_low is None or row.ci_high is None:
        return ""
    return f" ({row.ci_low:.{metric.digits}f} to {row.ci_high:.{metric.digits}f})"


def cell_text(metric: MetricBase, row: ScoreRow | None, notes: Notes, with_interval: bool) -> str:
    """A cell of a plain table; reasons and warnings become footnotes."""
    if row is None:
        return "null " + notes.mark("not measured")
    missing = [reasons_text(row)] if row.reasons else []
    if row.value is None:
        if metric.all_or_none and row.num_scored:
            missing.append(f"{metric.label} is not averaged over a set with unscored clips")
        return "null " + notes.mark("; ".join(missing) or "no clips")
    text = value_text(metric, row)
    if row.origin == PAPER:
        return text
    if math.isinf(row.value):
        return f"{text} " + notes.mark(f"{metric.label} is infinite: every frame equals the reference")
    text += interval_text(metric, row) if with_interval else ""
    text += f", {row.num_scored}/{row.num_expected}" if row.num_scored < row.num_expected else ""
    text += f" #{row.tie_group}" if row.tie_group is not None else ""
    return "".join([text, *(f" {notes.mark(note)}" for note in _remarks(metric, row, missing))])


def _remarks(metric: MetricBase, row: ScoreRow, missing: Sequence[str]) -> list[str]:
    remarks = ["; ".join(missing)] if missing else []
    if row.kind == GROUND_TRUTH and metric.truth_floor is not None and (row.value or 0.0) < metric.truth_floor:
        remarks.append(f"ground truth below {metric.truth_floor:g}: the pipeline is broken, trust no {metric.label}")
    if row.num_infinite:
        remarks.append(f"{row.num_infinite} infinite clips are left out of the mean")
    return [*remarks, row.note] if row.note else remarks


def column_groups(metrics: Sequence[MetricBase]) -> list[tuple[str, list[MetricBase]]]:
    """Metrics of one table after another, with a heading: the paper's five, all others, paper-compatible variants."""
    first = [metric for metric in metrics if metric.name in PAPER_ORDER]
    variants = [metric for metric in metrics if metric.variant_of]
    others = [metric for metric in metrics if metric not in first and metric not in variants]
    groups = [("", first)] if first else []
    for title, part in (("Further metrics", others), ("Paper-compatible variants, never ranked", variants)):
        rows = -(-len(part) // COLUMNS_PER_TABLE)
        width = -(-len(part) // rows) if rows else 0
        groups += [
            (title if begin == 0 else "", part[begin : begin + width]) for begin in range(0, len(part), width or 1)
        ]
    return groups


def heading(metric: MetricBase) -> str:
    """Label, unit and direction; a variant says whose it is."""
    return f"{metric.heading}, variant of {metric.variant_of}" if metric.variant_of else metric.heading


def legend(metrics: Sequence[MetricBase], board: Board) -> list[str]:
    """What the marks and numbers mean that the tables hold."""
    measured = [row for row in board.rows if row.origin != PAPER]
    text = []
    if any(row.ci_low is not None for row in measured):
        text.append("In parentheses: 95 % interval by bootstrap over speakers (Blink: exact Poisson interval).")
    reasons = {row.interval_reason for row in measured if row.interval_reason and not math.isinf(row.value or 0.0)}
    if reasons:
        text.append(f"Where there is no interval and no rank: {'; '.join(sorted(reasons))}.")
    if any(row.tie_group for row in measured):
        text.append(
            "#n: tie group, 1 + the number of methods that are better beyond chance (paired bootstrap); all of #1 may "
            "be the best. **Bold** and <ins>underlined</ins>: best and second best, where no method is tied with them."
        )
    if any(metric.higher_is_better is None for metric in metrics):
        text.append("→GT: closest to the ground truth is best.")
    if any(row.kind == CONTROL for row in measured):
        text.append("Controls show what a metric does and does not see; they do not compete.")
    if len(measured) < len(board.rows):
        text.append(
            "Rows (paper) are printed numbers, made by other code on other clips: they enter no mean, rank or tie."
        )
    return text
