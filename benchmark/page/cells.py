"""One cell of a table as the template prints it: value, mark, tie, coverage, interval with its bar, footnotes."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from benchmark.page.words import visible

_BAR = 60.0  # width of the picture of an interval; its ends keep a margin for the dot
_MARGIN = 3.0

Json = Any


class Notes:
    """Footnotes of a table, numbered from 1 as they are first used."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def number(self, text: str) -> int:
        """The number of this text."""
        if text not in self.texts:
            self.texts.append(text)
        return self.texts.index(text) + 1


@dataclasses.dataclass(frozen=True)
class Bar:
    """Ends and middle of an interval in the picture's units."""

    low: str
    high: str
    at: str


@dataclasses.dataclass(frozen=True)
class Cell:
    """What stands in one cell. `merit` is larger for the better; None has no place in the order."""

    metric: str
    text: str
    classes: str = ""
    merit: str | None = None
    hover: str = ""
    mark: str = ""
    tie: str = ""
    notes: Sequence[int] = ()
    coverage: str = ""
    why: str = ""
    interval: str = ""
    bar: Bar | None = None


@dataclasses.dataclass(frozen=True)
class Column:
    """What a cell has to know of its column: the metric, the range of its bars, the value to be close to."""

    metric: dict[str, Json]
    low: float | None = None
    high: float | None = None
    target: float | None = None


def column(metric: dict[str, Json], rows: Sequence[dict[str, Json]]) -> Column:
    """The column of a metric in a table's rows."""
    cells = [row["cells"][metric["name"]] for row in rows if metric["name"] in row["cells"]]
    # methods alone set the scale of the bars: a control is often far away
    shown = [row["cells"][metric["name"]] for row in rows if row["kind"] == "method" and metric["name"] in row["cells"]]
    ends = [number for cell in shown or cells for number in (cell["low"], cell["value"], cell["high"]) if _real(number)]
    truth = [
        row["cells"][metric["name"]]["value"]
        for row in rows
        if row["kind"] == "ground_truth" and metric["name"] in row["cells"]
    ]
    target = truth[0] if truth and _real(truth[0]) else None
    return Column(metric, min(ends, default=None), max(ends, default=None), target)


def cell_of(place: Column, cell: dict[str, Json] | None, is_paper: bool, notes: Notes) -> Cell:
    """A cell of the data as it is printed; a missing one was not measured."""
    metric = place.metric
    variant = "variant" if metric["variant_of"] else ""
    if cell is None:
        if is_paper:
            return Cell(metric["name"], "-", f"null {variant}", hover="not in the paper")
        return Cell(metric["name"], "null", f"null {variant}", why="not measured", hover="not measured")
    reasons = [reason_text(text, clips, cell["expected"]) for text, clips in cell["reasons"]]
    told = [notes.number("; ".join(reasons))] if reasons else []
    if cell["value"] is None:
        why = visible(cell["reasons"][0][0]).partition(":")[0].replace("_", " ") if cell["reasons"] else "no clips"
        if 0 < cell["scored"] < cell["expected"]:
            told.append(notes.number(f"{visible(metric['label'])} is not averaged over a set with unscored clips"))
        hover = _hover(place, cell, reasons)
        coverage = _coverage(cell) if cell["scored"] else ""
        return Cell(
            metric["name"], "null", f"null {variant}", hover=hover, why=why, notes=tuple(told), coverage=coverage
        )
    if cell["infinite"]:
        told.append(notes.number(_infinite(metric, cell)))
    interval, bar = _interval(place, cell)
    if not interval and cell["interval_reason"] and not is_paper:
        told.append(notes.number(f"no interval: {visible(cell['interval_reason'])}"))
    if cell.get("note"):
        told.append(notes.number(visible(cell["note"])))
    is_partial = cell["scored"] < cell["expected"]
    top = "top" if cell["tie_group"] == 1 else ""
    return Cell(
        metric=metric["name"],
        text=visible(cell["text"]),
        classes=" ".join(filter(None, (variant, cell["mark"], top, "partial" if is_partial else ""))),
        merit=_merit(place, cell["value"]),
        hover=_hover(place, cell, reasons),
        mark={"best": "best", "second": "second best"}.get(cell["mark"], ""),
        tie="" if cell["tie_group"] is None else str(cell["tie_group"]),
        notes=tuple(told),
        coverage=_coverage(cell) if is_partial else "",
        interval=interval,
        bar=bar,
    )


def reason_text(text: str, clips: int, expected: int) -> str:
    """A reason with the number of clips that it holds for."""
    return f"{visible(text)} ({clips} of {expected} clips)"


def _real(value: Json) -> bool:
    return isinstance(value, int | float)


def _merit(place: Column, value: float | str) -> str | None:
    number = float(value)
    if place.metric["better"] == "lower":
        number = -number
    elif place.metric["better"] == "truth" and place.target is not None:
        number = -abs(number - place.target)
    return {"inf": "Infinity", "-inf": "-Infinity"}.get(str(number), f"{number:.6g}")


def _coverage(cell: dict[str, Json]) -> str:
    return f"{cell['scored']}/{cell['expected']} clips"


def _infinite(metric: dict[str, Json], cell: dict[str, Json]) -> str:
    if isinstance(cell["value"], str):
        return f"{visible(metric['label'])} is infinite: every frame equals the reference"
    clips = "clip is" if cell["infinite"] == 1 else "clips are"
    return f"{cell['infinite']} infinite {clips} left out of the mean"


def _interval(place: Column, cell: dict[str, Json]) -> tuple[str, Bar | None]:
    low, high, value = cell["low"], cell["high"], cell["value"]
    if low is None or high is None:
        return "", None
    digits = place.metric["digits"]
    text = "–".join(f"{end:.{digits}f}" if _real(end) else end for end in (low, high))
    if not all(map(_real, (low, high, value))) or place.low is None or place.high is None:
        return text, None
    width = place.high - place.low
    if width <= 0 or not (place.low <= value <= place.high):
        return text, None
    at = [
        _MARGIN + (_BAR - 2 * _MARGIN) * (min(max(end, place.low), place.high) - place.low) / width
        for end in (low, high, value)
    ]
    return text, Bar(*(f"{one:.1f}" for one in at))


def _hover(place: Column, cell: dict[str, Json], reasons: Sequence[str]) -> str:
    metric = place.metric
    unit = f" {metric['unit']}" if metric["unit"] else ""
    parts = [f"{visible(metric['label'])}: {visible(cell['text'])}{unit if cell['value'] is not None else ''}"]
    interval, _ = _interval(place, cell)
    if interval:
        speakers = f" over {cell['speakers']} speakers" if cell["speakers"] else ""
        parts.append(f"95 % interval {interval.replace('–', ' to ')}{speakers}")
    elif cell["interval_reason"]:
        parts.append(f"no interval: {visible(cell['interval_reason'])}")
    if cell["expected"]:
        parts.append(f"{cell['scored']} of {cell['expected']} clips scored")
    if cell["tie_group"] is not None:
        better = cell["tie_group"] - 1
        parts.append(f"{better or 'no'} method{'' if better == 1 else 's'} better beyond chance")
    return "; ".join([*parts, *reasons])
