"""Table IV measured again: full model and ablations, each compared with the full one, beside the paper's numbers."""

import csv
import dataclasses
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from benchmark.clip_score import ClipScore
from benchmark.metric import MetricBase
from benchmark.paired import Comparison, compare
from benchmark.paper import printed_numbers
from benchmark.summary import ALL, GROUND_TRUTH, METHOD, ScoreRow, summarise
from benchmark.tables.cells import Notes, cell_text
from benchmark.tables.csv_tables import number, safe

if TYPE_CHECKING:
    from rich.table import Table

FULL, TRUTH = "full", "gt"
METRICS = ("lse_c", "lmd", "blink", "cpbd", "mouth_open_corr")  # those of Table IV, and the one that needs no weights
BETTER, WORSE, ALIKE, UNKNOWN = "better", "worse", "not told apart", "not judged"  # UNKNOWN: no interval
CLAIMS = (
    ("temporal", "lse_c"),
    ("disentangle", "blink"),
    ("hierarchical", "blink"),
    ("local", "lse_c"),
    ("chdtf", "lse_c"),
    ("syncloss", "lse_c"),
)  # Section IV.C: what each part is said to be good for
STANDS_IN = {"lse_c": "mouth_open_corr"}  # shown beside a claim about the first
REMARKS = (
    "better, worse, not told apart: than the full model, on the same clips, by the paired 95 % interval; Blink by its "
    "distance to the ground truth's.",
    "Intervals are over speakers of the test clips. Each variant was trained once: how much another seed would change "
    "is not in them.",
    "not judged: there is no interval. The paper's numbers were made with other data and another renderer (ground "
    "truth: its Table I, CHDTF); compare directions.",
)
_CSV = (
    *("variant", "label", "metric", "value", "ci_low", "ci_high", "scored", "expected", "difference_from_full"),
    *("difference_low", "difference_high", "against_full", "reason", "paper", "paper_against_full"),
)


@dataclasses.dataclass(frozen=True)
class Variant:
    """A row: "full", "gt" or the ablation's name; its results per clip, or why there are none."""

    name: str
    label: str
    scores: tuple[ClipScore, ...] = ()
    reason: str = ""


@dataclasses.dataclass(frozen=True)
class Cell:
    """One number: measured (`row` None: not at all), compared with the full model, and as the paper prints it."""

    metric: MetricBase
    row: ScoreRow | None
    against_full: Comparison | None  # full minus this one
    verdict: str  # BETTER or WORSE than the full model, ALIKE, or UNKNOWN; "" where not compared
    paper: str  # as printed; "" where the paper has none
    paper_verdict: str


@dataclasses.dataclass(frozen=True)
class Line:
    """One row of the table."""

    variant: Variant
    cells: tuple[Cell, ...]


def table_iv(variants: Sequence[Variant], metrics: Sequence[MetricBase], dataset: str) -> list[Line]:
    """Rows in the order of `variants`, among them "full", and "gt" where it was scored."""
    by_name = {variant.name: variant for variant in variants}
    full, truth = by_name[FULL].scores, by_name[TRUTH].scores if TRUTH in by_name else ()
    lines = []
    for variant in variants:
        kind = GROUND_TRUTH if variant.name == TRUTH else METHOD
        rows = {row.metric: row for row in summarise(variant.scores, metrics, dataset, "", kind) if row.subset == ALL}
        compared = variant.name not in (FULL, TRUTH) and bool(variant.scores) and bool(full)
        found = compare(full, variant.scores, metrics, truth) if compared else [None] * len(metrics)
        cells = [_cell(variant.name, *one, rows) for one in zip(metrics, found, strict=True)]
        lines.append(Line(variant, tuple(cells)))
    return lines


def _cell(name: str, metric: MetricBase, compared: Comparison | None, rows: Mapping[str, ScoreRow]) -> Cell:
    verdict = ""
    if compared is not None and compared.num_clips:
        verdict = UNKNOWN if compared.low is None else {"a": WORSE, "b": BETTER, "": ALIKE}[compared.better]
    return Cell(metric, rows.get(metric.name), compared, verdict, *_paper(name, metric))


def _paper(name: str, metric: MetricBase) -> tuple[str, str]:
    """The paper's number of an ablation, and whether it is better or worse than that of its full model."""
    printed = {
        (row["method"], row["metric"]): row["value"]
        for row in printed_numbers()
        if row["table"] == "IV" or (row["table"], row["dataset"], row["method"]) == ("I", "chdtf", "gt")
    }
    keys = {FULL: "ours_full", TRUTH: "gt"}
    value = printed.get((keys.get(name, f"ours_without_{name}"), metric.name), "")
    if not value or name in keys:
        return value, ""
    ours, full = float(value), float(printed["ours_full", metric.name])
    if metric.higher_is_better is None:
        truth = float(printed["gt", metric.name])
        ours, full = -abs(ours - truth), -abs(full - truth)
    elif not metric.higher_is_better:
        ours, full = -ours, -full
    return value, "" if ours == full else BETTER if ours > full else WORSE


def claims(lines: Sequence[Line]) -> list[str]:
    """One line for each statement of Section IV.C: what the paper found, what was found here, and whether it holds."""
    cells = {(line.variant.name, cell.metric.name): cell for line in lines for cell in line.cells}
    labels = {line.variant.name: line.variant for line in lines}
    told = []
    for name, metric in CLAIMS:
        if name not in labels:
            continue
        names = [one for one in (metric, STANDS_IN.get(metric)) if one and (name, one) in cells]
        found = [_found(cells[name, one], cells[FULL, one], labels[name].reason) for one in names]
        told += [f"{labels[name].label}: {'; '.join(found)}"] if found else []
    return told


def _found(cell: Cell, full: Cell, reason: str) -> str:
    paper = f" (paper {cell.paper}, full {full.paper})" if cell.paper else ""
    holds = {WORSE: "holds", BETTER: "contradicted", ALIKE: ALIKE, UNKNOWN: UNKNOWN}.get(cell.verdict)
    if holds is None or cell.row is None or cell.against_full is None:
        return f"{cell.metric.label}{paper} not measured: {reason or _why(cell)}"
    of = "distance to the ground truth, " if cell.against_full.to_truth else ""
    low, high = cell.against_full.low, cell.against_full.high
    digits = cell.metric.digits
    interval = f" ({low:.{digits}f} to {high:.{digits}f})" if low is not None and high is not None else ""
    without = f", {cell.against_full.reason}" if not interval and cell.against_full.reason else ""
    change = f"{of}full minus this {cell.against_full.difference:+.{digits}f}{interval}{without}"
    return f"{cell.metric.label}{paper}: {change}: {holds}"


def _why(cell: Cell) -> str:
    if cell.row is None:
        return "not scored"
    return "; ".join(reason for reason, _ in cell.row.reasons) or "no clips in common with the full model"


def _texts(cell: Cell, notes: Notes, reason: str) -> list[str]:
    """Value with interval, and verdict where there is one."""
    if cell.row is None:
        return ["null " + notes.mark(reason or "not scored")]
    shown = cell_text(cell.metric, cell.row, notes, with_interval=True)
    return [shown, cell.verdict] if cell.verdict else [shown]


def markdown(lines: Sequence[Line], title: str) -> str:
    """The table with intervals, verdicts and the paper's numbers; claims, remarks and footnotes below."""
    notes = Notes()
    metrics = [cell.metric for cell in lines[0].cells]
    has_paper = [any(line.cells[i].paper for line in lines) for i in range(len(metrics))]
    header = ["Methods"]
    for metric, printed in zip(metrics, has_paper, strict=True):
        header += [metric.heading, "paper"] if printed else [metric.heading]
    table = [header, ["---", *["---:"] * (len(header) - 1)]]
    for line in lines:
        row = [line.variant.label]
        for cell, printed in zip(line.cells, has_paper, strict=True):
            row += [", ".join(_texts(cell, notes, line.variant.reason)), cell.paper or "-"][: 1 + printed]
        table.append(row)
    body = "\n".join(f"| {' | '.join(text.replace('|', chr(92) + '|') for text in row)} |" for row in table)
    parts = [f"# {title}\n", f"{body}\n", "## What the paper says, and what was found\n"]
    parts += ["\n".join(f"- {one}" for one in claims(lines)) + "\n", *(f"{one}\n" for one in REMARKS)]
    return "\n".join([*parts, *(f"{note}\n" for note in notes.lines())])


def table_csv(lines: Iterable[Line]) -> str:
    """A row per variant and metric: columns `_CSV`."""
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow(_CSV)
    for line in lines:
        for cell in line.cells:
            row, compared = cell.row, cell.against_full
            measured = [row.value, row.ci_low, row.ci_high] if row else [None] * 3
            difference = [_known(compared.difference), compared.low, compared.high] if compared else [None] * 3
            reason = line.variant.reason or ("; ".join(one for one, _ in row.reasons) if row else "not scored")
            counts = [row.num_scored, row.num_expected] if row else [0, 0]
            writer.writerow(
                [
                    *(line.variant.name, line.variant.label, cell.metric.name, *map(number, measured), *counts),
                    *(*map(number, difference), cell.verdict, safe(reason), cell.paper or "null", cell.paper_verdict),
                ]
            )
    return sink.getvalue()


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def terminal(lines: Sequence[Line], title: str) -> "tuple[Table, list[str]]":
    """The table, each cell with the paper's number below; and its footnotes."""
    from rich.table import Table
    from rich.text import Text

    notes = Notes()
    table = Table(title=Text(title), title_justify="left", show_lines=True)
    table.add_column("Methods", no_wrap=True)
    for cell in lines[0].cells:
        table.add_column(Text(cell.metric.heading), justify="right")
    for line in lines:
        texts = []
        for cell in line.cells:
            paper = [", ".join(filter(None, [f"paper {cell.paper}", cell.paper_verdict]))] if cell.paper else []
            style = {WORSE: "red", BETTER: "green"}.get(cell.verdict, "")
            shown = [*_texts(cell, notes, line.variant.reason), *paper]
            texts.append(Text("\n".join(shown).replace(" (", "\n("), style=style))
        table.add_row(Text(line.variant.label), *texts)
    return table, notes.lines()
