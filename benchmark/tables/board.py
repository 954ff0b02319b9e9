"""Board: score rows, what is known of the methods, and the verdicts of the gates; all that a table is made of."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from benchmark.metric import MetricBase, get_metric, metric_names
from benchmark.summary import ALL, KINDS, METHOD, PAPER, ScoreRow

PAPER_ORDER = ("lse_c", "lmd", "blink", "cpbd", "psnr")  # columns of the paper's Table I come first
PASSED, FAILED, NOT_JUDGED = "passed", "failed", "not judged"


@dataclasses.dataclass(frozen=True)
class MethodFacts:
    """What a table says of a method besides its scores; "" where it is not known."""

    kind: str = METHOD  # ground_truth, method or control
    label: str = ""  # as printed; "" prints the name
    input: str = ""  # image: one frame and speech; video: the whole clip
    eye_blink: str = ""  # where blinks come from: generated, hand craft, from reference, none
    category: str = ""  # heading of its group in LaTeX, such as "Deterministic-based"; "ablation" for Table IV
    audio_shift_frames: int | None = None  # of a control: how many frames its sound is late


@dataclasses.dataclass(frozen=True)
class GateResult:
    """Verdict of one gate (`benchmark.gates`) on one data set and split; `metrics` are the columns that it concerns."""

    gate: str
    claim: str
    dataset: str
    split: str
    state: str  # passed, failed, not judged
    detail: str  # what was found, or why it cannot be judged
    metrics: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Board:
    """Rows of any number of data sets, measured and (origin `paper`) printed, and what is told beside them.

    `notes` are lines that belong under every table: what cannot be compared with what, and why.
    """

    rows: tuple[ScoreRow, ...]
    facts: Mapping[str, MethodFacts] = dataclasses.field(default_factory=dict)
    printed: Mapping[str, MethodFacts] = dataclasses.field(default_factory=dict)  # of the methods of the paper's rows
    gates: tuple[GateResult, ...] = ()
    notes: tuple[str, ...] = ()

    def metrics(self) -> list[MetricBase]:
        """Metrics of the rows in the order of columns."""
        known = set(metric_names())
        names = {row.metric for row in self.rows if row.metric.partition("@")[0] in known}
        return in_order([get_metric(name) for name in names])

    def lines(self, subset: str | None = ALL) -> list["Line"]:
        """Rows of a table (None: of every subset) by data set: ground truth, methods, controls, then the paper's."""
        grouped: dict[tuple[object, ...], list[ScoreRow]] = {}
        for row in self.rows:
            if subset is None or row.subset == subset:
                grouped.setdefault(_sort_key(row), []).append(row)
        lines = [
            Line(group[0], {row.metric: row for row in group}, self._facts(group[0]))
            for _, group in sorted(grouped.items())
        ]
        measured = {line.first.dataset for line in lines if not line.is_paper}
        return sorted(lines, key=lambda line: line.first.dataset not in measured)  # tables of print alone come last

    def tables(self) -> dict[tuple[str, str], list["Line"]]:
        """Lines over all clips by data set and split."""
        tables: dict[tuple[str, str], list[Line]] = {}
        for line in self.lines():
            tables.setdefault((line.first.dataset, line.first.split), []).append(line)
        return tables

    def failed(self, dataset: str, split: str) -> list[GateResult]:
        """Gates that failed on a data set and split."""
        return [gate for gate in self.gates if (gate.dataset, gate.split, gate.state) == (dataset, split, FAILED)]

    def _facts(self, row: ScoreRow) -> MethodFacts:
        facts = self.printed if row.origin == PAPER else self.facts
        found = facts.get(row.method, MethodFacts())
        return dataclasses.replace(found, kind=row.kind, label=row.label or found.label or row.method)


@dataclasses.dataclass(frozen=True)
class Line:
    """One row of a table: a method on a data set, its cells by metric name."""

    first: ScoreRow
    cells: Mapping[str, ScoreRow]
    facts: MethodFacts

    @property
    def is_paper(self) -> bool:
        """Whether the numbers are printed in the paper instead of measured."""
        return self.first.origin == PAPER

    @property
    def title(self) -> str:
        """Name as printed in plain tables."""
        name, kind = self.first.method, self.first.kind
        if self.is_paper:
            return f"{self.facts.label} (paper)"
        return name if kind in (METHOD, name) else f"{name} ({kind.replace('_', ' ')})"


def in_order(metrics: Iterable[MetricBase]) -> list[MetricBase]:
    """Metrics in the order of columns: as in the paper's Table I, then by name; variants last."""
    return sorted(metrics, key=lambda metric: (bool(metric.variant_of), _paper_index(metric.name), metric.name))


def num_clips(lines: Sequence[Line]) -> int:
    """Largest number of clips expected in any cell."""
    return max((row.num_expected for line in lines for row in line.cells.values()), default=0)


def _paper_index(name: str) -> int:
    return PAPER_ORDER.index(name) if name in PAPER_ORDER else len(PAPER_ORDER)


def _sort_key(row: ScoreRow) -> tuple[object, ...]:
    return (
        row.dataset,
        row.split,
        row.origin,
        KINDS.index(row.kind),
        row.order,
        row.method,
        row.subset != ALL,
        row.subset,
        row.run_id,
    )
