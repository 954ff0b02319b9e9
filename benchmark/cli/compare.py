"""Compare two methods clip by clip: paired differences with intervals, metric by metric and for each speaker."""

import csv
import dataclasses
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from benchmark.cli._console import say
from chdtf.errors import UserError

if TYPE_CHECKING:
    from benchmark.clip_score import ClipScore
    from benchmark.metric import MetricBase
    from benchmark.paired import Comparison
    from benchmark.results import Results


_COLUMNS = (
    *("metric", "speaker", "clips", "speakers", "a", "b", "difference"),
    *("low", "high", "better", "reason"),
)


@dataclasses.dataclass(frozen=True)
class Command:
    """Differences A - B on the clips that both have, with 95 % intervals by paired bootstrap over speakers.

    A and B are each a method's name (with --results), a result folder that holds one method, or a file
    scores/METHOD.parquet.
    """

    a: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="A")]
    """The first: METHOD, FOLDER or FILE."""
    b: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="B")]
    """The second."""
    results: Annotated[tuple[Path, ...], tyro.conf.arg(metavar="FOLDER [FOLDER ...]")] = ()
    """Folders of disentbench run or score in which methods are looked up by name."""
    metric: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME [NAME ...]")] = ()
    """Metrics to compare. Default: all that both were scored with."""
    per_speaker: bool = False
    """Print every speaker's difference too."""
    csv: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Write all of it as a table: a row per metric, and one per metric and speaker."""

    def run(self) -> int:
        """Compare and print; 1 when there is nothing to compare."""
        from benchmark.paired import compare
        from benchmark.results import merge
        from benchmark.summary import GROUND_TRUTH
        from chdtf import tombstones
        from chdtf.files import write_text

        (a, first), (b, second) = self._find(self.a), self._find(self.b)
        sides = [dataclasses.replace(side, dataset=name) for name, side in (("a", a), ("b", b))]
        merged = merge(sides, tombstones.find())  # refuses what does not compare
        ours, theirs = merged.scores["a"][first], merged.scores["b"][second]
        truths = [name for side in (a, b) for name, kind in side.kinds.items() if kind == GROUND_TRUTH]
        truth = next((side.scores[n] for side in (a, b) for n in (*truths, "gt") if n in side.scores), ())
        found = compare(ours, theirs, self._metrics(ours, theirs), truth)
        _show(found, first if first != second else self.a, second if first != second else self.b)
        if self.per_speaker:
            _show_speakers(found)
        if self.csv:
            write_text(self.csv, comparison_csv(found))
            say(f"CSV: {self.csv}")
        return 0 if any(one.num_clips for one in found) else 1

    def _find(self, given: str) -> "tuple[Results, str]":
        """Results and the method's name in them."""
        from benchmark.results import read_results
        from benchmark.summary import METHOD

        path = Path(given)
        if path.is_file():
            return read_results(path.parent.parent), path.stem
        held = [found for found in map(read_results, self.results) if given in found.scores]
        if held:  # a method's name, though a folder (of its videos, say) may bear it too
            return held[0], given
        if path.is_dir():
            found = read_results(path)
            names = [name for name in found.scores if found.kinds.get(name, METHOD) == METHOD]
            if len(names) != 1:
                raise UserError(f"{given} holds the methods {', '.join(names) or 'none'}; name scores/METHOD.parquet")
            return found, names[0]
        where = ", ".join(map(str, self.results)) or "no folder, give one with --results"
        raise UserError(f"{given}: neither a folder, a file, nor a method in {where}")

    def _metrics(self, a: "Sequence[ClipScore]", b: "Sequence[ClipScore]") -> "list[MetricBase]":
        from benchmark.metric import get_metric
        from benchmark.tables.board import in_order

        both = {score.metric for score in a} & {score.metric for score in b}
        missing = [name for name in self.metric if name not in both]
        if missing:
            raise UserError(
                f"--metric {missing[0]}: not scored for both; they share {', '.join(sorted(both)) or 'none'}"
            )
        return in_order([get_metric(name) for name in self.metric or sorted(both)])


def _show(found: "list[Comparison]", a: str, b: str) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(f"A: {a}    B: {b}"), title_justify="left")
    for name in ("metric", "A", "B", "A - B", "95 % interval", "clips", "speakers", "better"):
        table.add_column(name, justify="left" if name in ("metric", "better") else "right")
    for one in found:
        left_out = f" (-{one.num_left_out})" if one.num_left_out else ""
        interval = "-" if one.low is None else f"{_number(one, one.low)} to {_number(one, one.high)}"
        numbers = [_number(one, value) for value in (one.a, one.b, one.difference)]
        name = one.metric.heading + (" (distance)" if one.to_truth else "")
        table.add_row(
            *(Text(cell) for cell in (name, *numbers, interval, f"{one.num_clips}{left_out}", f"{one.num_speakers}")),
            Text(one.better.upper() or one.reason or "not told apart"),
        )
    Console().print(table)
    say("A - B on the clips that both have (-n: clips left out, which only one has or with other references).")
    if any(one.to_truth for one in found):
        say("(distance): A - B is the difference of their distances to the ground truth's value.")


def _show_speakers(found: "list[Comparison]") -> None:
    for one in found:
        say(f"\n{one.metric.label}{' (distance)' if one.to_truth else ''}, by speaker: A, B, A - B")
        width = max((len(part.speaker) for part in one.by_speaker), default=0)
        for part in one.by_speaker:
            values = "  ".join(_number(one, value) for value in (part.a, part.b, part.difference))
            clips = f"{part.num_clips:>4} clip{'s' if part.num_clips != 1 else ' '}"
            say(f"  {part.speaker:<{width}} {clips}  {values}")


def _number(one: "Comparison", value: float | None) -> str:
    if value is None or math.isnan(value):
        return "-"
    return f"{value:.{one.metric.digits}f}"


def comparison_csv(found: "list[Comparison]") -> str:
    """Columns `_COLUMNS`; a row with no speaker is over all of them."""
    from benchmark.tables.csv_tables import number, safe

    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for one in found:
        values = [number(_known(value)) for value in (one.a, one.b, one.difference, one.low, one.high)]
        row = [one.metric.name, "", one.num_clips, one.num_speakers, *values, one.better, safe(one.reason)]
        writer.writerow(row)
        for part in one.by_speaker:
            values = [number(_known(value)) for value in (part.a, part.b, part.difference)]
            writer.writerow([one.metric.name, safe(part.speaker), part.num_clips, 1, *values, "null", "null", "", ""])
    return sink.getvalue()


def _known(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else value
