"""Who is better than whom beyond chance: tie groups, best and second best of a column.

Two methods are compared on the clips that both have, by paired bootstrap over speakers. A method's tie group is 1 +
the number of methods that are better than it: those of group 1 cannot be told from the best. Best is marked only when
it is better than all others, second best only when it is better than all others but that one. No correction is made
for the number of pairs. Ranked are methods with a finite value over all their clips, on the same clips and
references; paper-compatible variants, ground truth, controls and the paper's rows never.
"""

import collections
import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from benchmark.bootstrap import Sample, difference
from benchmark.clip_score import ClipScore
from benchmark.metric import MetricBase
from benchmark.summary import ALL, GROUND_TRUTH, MEASURED, METHOD, ScoreRow

BEST, SECOND = "best", "second"


def with_ties(
    rows: Sequence[ScoreRow], scores: Mapping[str, Sequence[ClipScore]], metrics: Sequence[MetricBase]
) -> list[ScoreRow]:
    """Rows of one data set with `tie_group` and `mark` set; `scores` are its results per clip by method."""
    by_name = {metric.name: metric for metric in metrics}
    columns: dict[tuple[str, str, str], list[ScoreRow]] = collections.defaultdict(list)
    for row in rows:
        columns[row.split, row.subset, row.metric].append(row)
    by_metric: dict[tuple[str, str], list[ClipScore]] = collections.defaultdict(list)
    for method, found in scores.items():
        for score in found:
            by_metric[method, score.metric].append(score)
    ranked: dict[ScoreRow, ScoreRow] = {}
    for (_, _, name), column in columns.items():
        if name in by_name:
            ranked |= _rank(by_name[name], column, by_metric)
    return [ranked.get(row, row) for row in rows]


def competitors(metric: MetricBase, column: Sequence[ScoreRow]) -> list[ScoreRow]:
    """Rows of a column that may be ranked against each other."""
    if metric.variant_of:
        return []
    found = [row for row in column if _competes(row)]
    sets = collections.Counter(row.clip_set for row in found)
    truth = {row.clip_set for row in column if row.kind == GROUND_TRUTH and row.origin == MEASURED}
    shared = truth & set(sets) or set(sorted(sets, key=lambda name: (-sets[name], name))[:1])
    found = [row for row in found if row.clip_set in shared]
    return sorted(found, key=lambda row: row.method) if len(found) > 1 else []


def _competes(row: ScoreRow) -> bool:
    complete = row.num_scored == row.num_expected and not row.num_infinite
    return (
        row.origin == MEASURED and row.kind == METHOD and complete and row.value is not None and np.isfinite(row.value)
    )


def _rank(
    metric: MetricBase, column: Sequence[ScoreRow], scores: Mapping[tuple[str, str], Sequence[ClipScore]]
) -> dict[ScoreRow, ScoreRow]:
    found = competitors(metric, column)
    truth = None
    if found and metric.higher_is_better is None:
        row = next((row for row in column if row.kind == GROUND_TRUTH and row.origin == MEASURED), None)
        if row is None or row.value is None:
            return {}
        truth = _sample(metric, row, scores)
    beats = _beats(metric, [_sample(metric, row, scores) for row in found], truth)
    if beats is None:
        return {}
    groups = 1 + beats.sum(axis=0)
    return {
        row: dataclasses.replace(row, tie_group=int(group), mark=mark)
        for row, group, mark in zip(found, groups, _marks(beats), strict=True)
    }


def _sample(metric: MetricBase, row: ScoreRow, scores: Mapping[tuple[str, str], Sequence[ClipScore]]) -> Sample:
    splits = set(row.split.split("+"))
    found = scores[row.method, metric.name]
    part = [score for score in found if (score.split or "") in splits and row.subset in (ALL, score.language or "")]
    return Sample.of(metric, part)


def _beats(metric: MetricBase, samples: Sequence[Sample], truth: Sample | None) -> np.ndarray | None:
    """Bool (methods, methods): the first is better than the second beyond chance; None where that cannot be told."""
    beats = np.zeros((len(samples), len(samples)), bool)
    for i, a in enumerate(samples):
        for j, b in enumerate(samples[:i]):
            _, interval = difference(a, b, truth)
            if interval.low is None:
                return None
            if interval.excludes_zero:
                first_is_better = (interval.low > 0) == bool(metric.higher_is_better)
                beats[(i, j) if first_is_better else (j, i)] = True
    return beats if len(samples) > 1 else None


def _marks(beats: np.ndarray) -> list[str]:
    marks = [""] * len(beats)
    others = ~np.eye(len(beats), dtype=bool)
    best = np.flatnonzero((beats | ~others).all(axis=1))
    if len(best) == 1:
        marks[best[0]] = BEST
        others[:, best[0]] = False
        for index in np.flatnonzero((beats | ~others).all(axis=1)):
            if index != best[0] and len(beats) > 2:
                marks[index] = SECOND
    return marks
