"""`.eval_results/*.yaml` of the Hugging Face Hub: what a model's page and a benchmark's leaderboard there read.

The format is that of huggingface/hub-docs, eval_results.yaml: a list of entries with `dataset` (`id`, `task_id`,
optional `revision`), `value`, and optional `date`, `source` and `notes`. A metric is a task of the benchmark, named
`METRIC` or, for a split other than test, `METRIC_SPLIT`; the benchmark's own eval.yaml must list it.
"""

import dataclasses
import json
import math

from benchmark.metric import MetricBase
from benchmark.summary import GROUND_TRUTH, METHOD, ScoreRow
from benchmark.tables.board import Board, Line
from benchmark.tables.csv_tables import number


@dataclasses.dataclass(frozen=True)
class Benchmark:
    """The data set on the Hub that a leaderboard belongs to, and where the results come from."""

    dataset_id: str  # "organisation/name"
    revision: str = ""  # of the data set's repository
    date: str = ""  # ISO 8601, of the evaluation; without one the Hub takes the commit's
    source_url: str = ""


def eval_results(board: Board, dataset: str, benchmark: Benchmark) -> dict[str, str]:
    """YAML text by method, for the file `.eval_results/NAME.yaml` of that model's repository.

    Only measured, finite values over all clips whose metric failed no gate; variants, controls and ground truth never,
    nor methods on other clips or references than the ground truth.
    """
    texts: dict[str, str] = {}
    for (name, split), lines in board.tables().items():
        if name != dataset:
            continue
        distrusted = {metric for gate in board.failed(name, split) for metric in gate.metrics}
        metrics = [m for m in board.metrics() if not m.variant_of and m.name not in distrusted]
        truths = {line.first.clip_set for line in lines if line.first.kind == GROUND_TRUTH and not line.is_paper}
        for line in lines:
            same_clips = line.first.clip_set in truths or not truths
            if line.first.kind == METHOD and not line.is_paper and same_clips:
                text = "".join(_entry(line, metric, split, benchmark) for metric in metrics)
                texts[line.first.method] = texts.get(line.first.method, "") + text
    return {method: text for method, text in texts.items() if text}


def _entry(line: Line, metric: MetricBase, split: str, benchmark: Benchmark) -> str:
    row = line.cells.get(metric.name)
    if row is None or row.value is None or not math.isfinite(row.value) or row.num_scored < row.num_expected:
        return ""
    task = metric.name if split == "test" else f"{metric.name}_{split}"
    lines = ["- dataset:", f"    id: {_quoted(benchmark.dataset_id)}", f"    task_id: {_quoted(task)}"]
    lines += [f"    revision: {_quoted(benchmark.revision)}"] * bool(benchmark.revision)
    lines += [f"  value: {_float(row.value)}"]
    lines += [f"  date: {_quoted(benchmark.date)}"] * bool(benchmark.date)
    lines += ["  source:", f"    url: {_quoted(benchmark.source_url)}"] * bool(benchmark.source_url)
    lines += [f"  notes: {_quoted(_notes(line, metric, row))}"]
    return "\n".join(lines) + "\n"


def _notes(line: Line, metric: MetricBase, row: ScoreRow) -> str:
    unit = f" {metric.unit}" if metric.unit else ""
    parts = [f"{metric.label}{unit}, version {metric.version}", f"{row.num_scored} of {row.num_expected} clips"]
    if row.ci_low is not None:
        parts.append(f"95 % interval {number(row.ci_low)} to {number(row.ci_high)}")
    if line.facts.input:
        parts.append(f"input {line.facts.input}")
    return "; ".join([*parts, *([row.note] if row.note else [])])


def _quoted(text: str) -> str:
    """A YAML string: JSON's are valid YAML."""
    return json.dumps(text, ensure_ascii=False)


def _float(value: float) -> str:
    """A number that YAML 1.1 and 1.2 read as a float."""
    text = f"{value:.6g}"
    mantissa, exponent, power = text.partition("e")
    return (mantissa if "." in mantissa else f"{mantissa}.0") + exponent + power
