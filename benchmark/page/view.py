"""The object of `benchmark.tables.page_data` as the template prints it: titles, groups of rows, words, footnotes."""

import collections
import dataclasses
from collections.abc import Sequence
from typing import Any

from benchmark.page.cells import Cell, Notes, cell_of, column
from benchmark.page.words import ARROWS, DIRECTIONS, visible

_GROUPS = {
    "ground_truth": "Ground truth",
    "method": "Methods, measured",
    "control": "Controls: they show what a metric does and does not see, and do not compete",
    "paper": "As printed in the paper, without intervals: other clips and other code, for comparison only",
}
_KINDS = {"ground_truth": "ground truth", "method": "methods", "control": "controls", "paper": "the paper's"}
_PAPER = ("lse_c", "lmd", "blink", "cpbd", "psnr")

Json = Any


@dataclasses.dataclass(frozen=True)
class Metric:
    """A metric with the words of its heading."""

    name: str
    label: str
    unit: str
    better: str
    arrow: str
    direction: str
    source: str
    variant_of: str
    explanation: str
    failed: str = ""  # gates that failed on this table, of those that concern the metric


@dataclasses.dataclass(frozen=True)
class Row:
    """A line of a table."""

    method: str
    title: str
    input_kind: str
    eye_blink: str
    tags: Sequence[str]
    cells: Sequence[Cell]


@dataclasses.dataclass(frozen=True)
class Group:
    """Rows of one kind, sorted among themselves only."""

    name: str
    label: str
    rows: Sequence[Row]


@dataclasses.dataclass(frozen=True)
class Gate:
    """A check of the measurement and its outcome."""

    name: str
    where: str
    state: str
    claim: str
    detail: str


@dataclasses.dataclass(frozen=True)
class Table:
    """A data set and split, over all clips or those of one language."""

    number: int
    dataset: str
    subset: str
    title: str
    about: str
    metrics: Sequence[Metric]
    groups: Sequence[Group]
    failed_gates: Sequence[Gate]
    notes: Sequence[str]


@dataclasses.dataclass(frozen=True)
class View:
    """Everything that the template prints."""

    title: str
    summary: str
    notes: Sequence[str]
    metrics: Sequence[Metric]
    datasets: Sequence[str]
    languages: Sequence[str]
    inputs: Sequence[str]
    row_kinds: Sequence[tuple[str, str]]
    tables: Sequence[Table]
    printed: Sequence["Printed"]
    gates: Sequence[Gate]
    failed_gates: Sequence[Gate]
    has_paper_metrics: bool


@dataclasses.dataclass(frozen=True)
class Printed:
    """One of the paper's own tables."""

    title: str
    caption: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    num_words: int  # columns before the numbers


def view(data: dict[str, Json]) -> View:
    """What the template needs of the data."""
    gates = [_gate(gate) for gate in data["gates"]]
    tables = [_table(number, table, data) for number, table in enumerate(data["tables"], 1)]
    rows = [row for table in data["tables"] for row in table["rows"]]
    kinds = {_group_of(row) for row in rows}
    subsets = [table["subset"] for table in data["tables"] if table["subset"] != "all"]
    return View(
        title="Leaderboard",
        summary=_summary(data),
        notes=[visible(note) for note in data["notes"]],
        metrics=[_metric(metric) for metric in data["metrics"]],
        datasets=_unique(visible(table["dataset"]) for table in data["tables"]),
        languages=sorted({visible(subset) for subset in subsets}),
        inputs=sorted({visible(row["input"]) for row in rows if row["input"]}),
        row_kinds=[(name, label) for name, label in _KINDS.items() if name in kinds],
        tables=tables,
        printed=[_printed(table) for table in data["paper"]],
        gates=gates,
        failed_gates=[gate for gate in gates if gate.state == "failed"],
        has_paper_metrics=any(metric["name"] in _PAPER for metric in data["metrics"]),
    )


def _unique(values: Any) -> list[str]:
    return list(dict.fromkeys(values))


def _summary(data: dict[str, Json]) -> str:
    rows = [row for table in data["tables"] for row in table["rows"] if row["origin"] == "measured"]
    methods = {row["method"] for row in rows if row["kind"] == "method"}
    datasets = {table["dataset"] for table in data["tables"]}
    clips = sum(table["num_clips"] for table in data["tables"] if table["subset"] == "all")
    return (
        f"{_count(len(methods), 'method')} measured, {_count(len(datasets), 'data set')}, {_count(clips, 'clip')}, "
        f"{_count(len(data['metrics']), 'metric')}."
    )


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def _metric(metric: dict[str, Json], failed: str = "") -> Metric:
    label, better = visible(metric["label"]), metric["better"]
    of = f"; paper-compatible variant of {visible(metric['variant_of'])}, never ranked" if metric["variant_of"] else ""
    return Metric(
        name=metric["name"],
        label=label,
        unit=visible(metric["unit"]),
        better=better,
        arrow=ARROWS[better],
        direction=DIRECTIONS[better],
        source=visible(metric["source"], 1000),
        variant_of=visible(metric["variant_of"]),
        explanation=f"{label}: {DIRECTIONS[better]}{of}",
        failed=failed,
    )


def _gate(gate: dict[str, Json]) -> Gate:
    where = ", ".join(visible(gate[name]) for name in ("dataset", "split") if gate[name])
    return Gate(visible(gate["gate"]), where, gate["state"], visible(gate["claim"]), visible(gate["detail"], 1000))


def _group_of(row: dict[str, Json]) -> str:
    return "paper" if row["origin"] == "paper" else str(row["kind"])


def _table(number: int, table: dict[str, Json], data: dict[str, Json]) -> Table:
    here = [
        gate
        for gate in data["gates"]
        if gate["state"] == "failed" and (gate["dataset"], gate["split"]) == (table["dataset"], table["split"])
    ]
    used = {name for row in table["rows"] for name in row["cells"]}
    metrics = [metric for metric in data["metrics"] if metric["name"] in used]
    groups, notes = [], Notes()
    clip_sets = _clip_sets(table["rows"])
    for name, label in _GROUPS.items():
        rows = [row for row in table["rows"] if _group_of(row) == name]
        if not rows:
            continue
        # the paper's numbers have a scale and a ground truth of their own
        others = [row for row in table["rows"] if (_group_of(row) == "paper") == (name == "paper")]
        columns = [column(metric, others) for metric in metrics]
        groups.append(Group(name, label, [_row(row, columns, name == "paper", clip_sets, notes) for row in rows]))
    language = "" if table["subset"] == "all" else f", language {visible(table['subset']) or 'unknown'}"
    split = f", {visible(table['split'])}" if table["split"] else ""
    return Table(
        number=number,
        dataset=visible(table["dataset"]),
        subset=visible(table["subset"]),
        title=f"{visible(table['dataset'])}{split}{language}",
        about=_count(table["num_clips"], "clip") if table["num_clips"] else "from the paper",
        metrics=[
            _metric(metric, ", ".join(visible(gate["gate"]) for gate in here if metric["name"] in gate["metrics"]))
            for metric in metrics
        ],
        groups=groups,
        failed_gates=[_gate(gate) for gate in here],
        notes=notes.texts,
    )


def _clip_sets(rows: Sequence[dict[str, Json]]) -> dict[str, str]:
    """A tag for every row that was not measured on the clips that most rows of its table were measured on."""
    count = collections.Counter(row["clip_set"] for row in rows if row["origin"] == "measured" and row["clip_set"])
    return {name: f"other clips {letter}" for letter, (name, _) in zip("ABCDEFGHIJ", count.most_common()[1:])}  # noqa: B905


def _row(row: dict[str, Json], columns: Sequence[Any], is_paper: bool, clip_sets: dict[str, str], notes: Notes) -> Row:
    tags = [clip_sets[row["clip_set"]]] if row["clip_set"] in clip_sets else []
    tags += ["control"] if row["kind"] == "control" else []
    tags += ["paper"] if is_paper else []
    return Row(
        method=visible(row["method"]),
        title=visible(row["label"] or row["method"], 120),
        input_kind=visible(row["input"]),
        eye_blink=visible(row["eye_blink"]),
        tags=tags,
        cells=[cell_of(place, row["cells"].get(place.metric["name"]), is_paper, notes) for place in columns],
    )


def _printed(table: dict[str, Json]) -> Printed:
    metrics = table["metrics"]
    columns = [[row["values"].get(metric["name"]) for row in table["rows"]] for metric in metrics]
    numbers = zip(*(_as_printed(values) for values in columns), strict=True)
    rows = [
        [*(visible(row[name]) for name in ("dataset", "category", "label", "eye_blink")), *texts]
        for row, texts in zip(table["rows"], numbers, strict=True)
    ]
    headings = ["Data set", "Group", "Method", "Blinks from", *(visible(metric["label"]) for metric in metrics)]
    kept = [place for place in range(len(headings)) if place >= 4 or any(row[place] for row in rows)]
    return Printed(
        title=f"Table {visible(table['table'])}",
        caption=visible(table["caption"], 1000),
        headings=[headings[place] for place in kept],
        rows=[[row[place] for place in kept] for row in rows],
        num_words=sum(place < 4 for place in kept),
    )


def _as_printed(values: Sequence[Json]) -> list[str]:
    """A column with one number of decimals, which numbers in JSON have lost at their end; "-" where nothing stands."""
    digits = max((len(str(value).partition(".")[2]) for value in values if isinstance(value, float)), default=0)
    return ["-" if value is None else f"{value:.{digits}f}" if _is_number(value) else str(value) for value in values]


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float)
