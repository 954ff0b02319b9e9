"""From results per clip to a board: rows, ranks, gates, notes on what does not compare, and the paper's rows."""

import collections
import dataclasses
import json
from collections.abc import Collection, Mapping, Sequence

from benchmark.clip_score import ClipScore
from benchmark.gates import judge_gates
from benchmark.metric import MetricBase, get_metric
from benchmark.paper import COMPARED, paper_facts, paper_rows
from benchmark.summary import ALL, GROUND_TRUTH, METHOD, ScoreRow, summarise
from benchmark.tables.board import Board, MethodFacts
from benchmark.ties import with_ties
from chdtf.errors import UserError

Scores = Mapping[str, Mapping[str, Sequence[ClipScore]]]  # data set, method


def make_board(
    scores: Scores,
    facts: Mapping[str, MethodFacts],
    printed: Collection[str] = COMPARED,
    notes: Sequence[str] = (),
    printed_everywhere: bool = False,
) -> Board:
    """The board of results per clip by data set and method.

    Every split of a data set has a table of its own. `printed` names the tables of the paper whose rows are shown
    beside data sets of their names; with `printed_everywhere` Table I follows the measured tables. Paper-compatible
    rows, controls and rows on other clips are not ranked.
    """
    rows: list[ScoreRow] = []
    told: list[str] = []
    metrics: dict[str, MetricBase] = {}
    for dataset in sorted(scores):
        for split, part in _by_split(scores[dataset]).items():
            found, unknown = _metrics(part)
            told += [f"{name}: this program has no such metric; its scores are left out" for name in unknown]
            told += _other_versions(part, found)
            metrics |= {metric.name: metric for metric in found}
            table = _rows(part, found, dataset, facts)
            told += _incomparable(table, dataset, split)
            rows += with_ties(table, part, found)
    rows += paper_rows(sorted(scores), printed)
    if printed_everywhere:
        shown = {name.lower() for name in scores}
        rows += [row for row in paper_rows(None, ("I",)) if row.dataset not in shown]
    gates = judge_gates(rows, list(metrics.values()), facts)
    return Board(tuple(rows), dict(facts), paper_facts(), gates, (*notes, *dict.fromkeys(told)))


def _rows(
    scores: Mapping[str, Sequence[ClipScore]],
    metrics: Sequence[MetricBase],
    dataset: str,
    facts: Mapping[str, MethodFacts],
) -> list[ScoreRow]:
    rows = []
    for method in sorted(scores):
        references = {score.clip_id: score.reference_sha256 or "" for score in scores[method]}
        kind = facts.get(method, MethodFacts()).kind
        rows += summarise(scores[method], metrics, dataset, run_id="", kind=kind, references=references)
    return rows


def _by_split(scores: Mapping[str, Sequence[ClipScore]]) -> dict[str, dict[str, list[ClipScore]]]:
    found: dict[str, dict[str, list[ClipScore]]] = {}
    for method, part in scores.items():
        for score in part:
            found.setdefault(score.split or "", {}).setdefault(method, []).append(score)
    return dict(sorted(found.items()))


def _metrics(scores: Mapping[str, Sequence[ClipScore]]) -> tuple[list[MetricBase], list[str]]:
    known, unknown = [], []
    for name in sorted({score.metric for part in scores.values() for score in part}):
        try:
            known.append(get_metric(name))
        except UserError:
            unknown.append(name)
    return known, unknown


def _other_versions(scores: Mapping[str, Sequence[ClipScore]], metrics: Sequence[MetricBase]) -> list[str]:
    """Which metrics' scores are not of this program's version."""
    configs = {(s.metric, s.metric_config) for part in scores.values() for s in part if s.reason is None}
    stored = {(name, json.loads(config or "{}").get("version")) for name, config in configs}
    return [
        f"{metric.label}: scores of version {version}, this program computes version {metric.version}; score the "
        "videos again to compare with newer results"
        for metric in metrics
        for name, version in sorted(stored, key=str)
        if name == metric.name and version not in (None, metric.version)
    ]


def _incomparable(rows: Sequence[ScoreRow], dataset: str, split: str) -> list[str]:
    """Which methods stand on other clips or references than the ground truth, or than most where there is none."""
    sets = {row.method: row.clip_set for row in rows if row.subset == ALL}
    if len(set(sets.values())) < 2:
        return []
    count = collections.Counter(sets.values())
    truths = [sets[row.method] for row in rows if row.kind == GROUND_TRUTH]
    usual = truths[0] if truths else min(count, key=lambda name: (-count[name], name))
    others = sorted(method for method, found in sets.items() if found != usual)
    beside = "the ground truth" if truths else "the others"
    return [
        f"{dataset}, {split}: {', '.join(others)} {'was' if len(others) == 1 else 'were'} scored on other clips or "
        f"references than {beside}: such rows do not compare and are not ranked (column clip_set)"
    ]


def facts_of_kinds(kinds: Mapping[str, str], known: Mapping[str, MethodFacts]) -> dict[str, MethodFacts]:
    """Facts of methods by name: the known ones, with the kind that their run recorded."""
    names = {*kinds, *known}
    plain = {name: known.get(name, MethodFacts()) for name in sorted(names)}
    return {
        name: dataclasses.replace(facts, kind=kinds.get(name) or facts.kind or METHOD) for name, facts in plain.items()
    }
