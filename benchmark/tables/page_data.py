"""Data of the HTML page: one JSON object with tables, clips, curves, gates and the paper's own tables.

Numbers have six significant digits; a value that does not exist is null, an infinite one the string "inf". Paths are
relative to the folder of the page. Keys, `PAGE_DATA_VERSION` 1:

    version     1
    metrics     [{name, label, unit, better, digits, source, version, variant_of, has_clip_value}], in the order of
                columns; `better` is "higher", "lower" or "truth" (closest to the ground truth); `variant_of` is "" or
                the metric whose paper-compatible reading this is (never ranked)
    methods     [{name, label, kind, input, eye_blink}], kind "ground_truth", "method" or "control"; "" is unknown
    tables      [{dataset, split, subset, num_clips, rows}], subset "all" or a language
      rows      [{method, label, kind, origin, input, eye_blink, clip_set, cells}], origin "measured" or "paper";
                ground truth first, then methods, then controls, then the paper's rows
      cells     {metric: cell}; a metric that was not measured is missing
      cell      {value, low, high, interval_reason, scored, expected, infinite, speakers, reasons: [[text, clips]],
                tie_group, mark, note, text}: low and high are the 95 % interval; tie_group a number from 1 or null (not
                ranked); mark "best", "second" or ""; note what must be said beside it, or ""; text the value as printed
    gates       [{gate, claim, dataset, split, state, detail, metrics}], state "passed", "failed" or "not judged"
    clips       [{dataset, split, clip_id, speaker_id, language, reference, videos, scores}]; reference is a path or
                null, videos {method: path}, scores {method: {metric: {value, reason, details}}}
    curves      {metric: [{dataset, clip_id, method, fps, values}]}: values per frame of the metrics in CURVES,
                null where a frame has none
    paper       [{table, caption, metrics: [{name, label}], rows: [{dataset, label, category, eye_blink, values}]}]:
                the paper's Tables I-IV as printed, values {metric: number or "inf"}
    notes       [text]
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmark.clip_score import ClipScore
from benchmark.metric import MetricBase
from benchmark.summary import ScoreRow
from benchmark.tables.board import Board, Line, num_clips
from benchmark.tables.cells import value_text
from chdtf.schema import FPS

PAGE_DATA_VERSION = 1
CURVES = ("ear", "lpips_consecutive")
REFERENCE = ""  # in place of a method's name in `videos`: the reference of a clip
_BETTER = {True: "higher", False: "lower", None: "truth"}

Json = Any


def page_data(
    board: Board,
    scores: Mapping[str, Sequence[ClipScore]],
    videos: Mapping[tuple[str, str, str], str] | None = None,
    paper: Sequence[Mapping[str, Json]] = (),
) -> dict[str, Json]:
    """The object described above.

    `scores` holds the results per clip by data set, `videos` paths relative to the page by (data set, method, clip),
    with `REFERENCE` as the method for references, `paper` what `benchmark.paper.printed_tables` gives.
    """
    metrics = board.metrics()
    return {
        "version": PAGE_DATA_VERSION,
        "metrics": [_metric(metric) for metric in metrics],
        "methods": _methods(board),
        "tables": _tables(board, metrics),
        "gates": [_gate(gate) for gate in board.gates],
        "clips": [clip for dataset in sorted(scores) for clip in _clips(dataset, scores[dataset], videos or {})],
        "curves": {name: _curves(name, scores) for name in CURVES},
        "paper": list(paper),
        "notes": list(board.notes),
    }


def number(value: float | None) -> float | str | None:
    """A number as JSON holds it: six significant digits, null for None and NaN, "inf" or "-inf" for the infinite."""
    if value is None or math.isnan(value):
        return None
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return float(f"{value:.6g}")


def _metric(metric: MetricBase) -> dict[str, Json]:
    names = ("name", "label", "unit", "digits", "source", "version", "variant_of", "has_clip_value")
    return {name: getattr(metric, name) for name in names} | {"better": _BETTER[metric.higher_is_better]}


def _methods(board: Board) -> list[dict[str, Json]]:
    facts = {line.first.method: line.facts for line in board.lines() if not line.is_paper}
    return [
        {"name": name, "label": found.label, "kind": found.kind, "input": found.input, "eye_blink": found.eye_blink}
        for name, found in facts.items()
    ]


def _gate(gate: Any) -> dict[str, Json]:
    names = ("gate", "claim", "dataset", "split", "state", "detail")
    return {name: getattr(gate, name) for name in names} | {"metrics": list(gate.metrics)}


def _tables(board: Board, metrics: Sequence[MetricBase]) -> list[dict[str, Json]]:
    grouped: dict[tuple[str, str, str], list[Line]] = {}
    for line in board.lines(subset=None):
        grouped.setdefault((line.first.dataset, line.first.split, line.first.subset), []).append(line)
    return [
        {
            "dataset": dataset,
            "split": split,
            "subset": subset,
            "num_clips": num_clips(lines),
            "rows": [_row(line, metrics) for line in lines],
        }
        for (dataset, split, subset), lines in grouped.items()
    ]


def _row(line: Line, metrics: Sequence[MetricBase]) -> dict[str, Json]:
    first = line.first
    return {
        "method": first.method,
        "label": line.facts.label,
        "kind": first.kind,
        "origin": first.origin,
        "input": line.facts.input,
        "eye_blink": line.facts.eye_blink,
        "clip_set": first.clip_set,
        "cells": {m.name: _cell(m, line.cells[m.name]) for m in metrics if m.name in line.cells},
    }


def _cell(metric: MetricBase, row: ScoreRow) -> dict[str, Json]:
    return {
        "value": number(row.value),
        "low": number(row.ci_low),
        "high": number(row.ci_high),
        "interval_reason": row.interval_reason,
        "scored": row.num_scored,
        "expected": row.num_expected,
        "infinite": row.num_infinite,
        "speakers": row.num_speakers,
        "reasons": [list(reason) for reason in row.reasons],
        "tie_group": row.tie_group,
        "mark": row.mark,
        "note": row.note,
        "text": value_text(metric, row),
    }


def _clips(
    dataset: str, scores: Sequence[ClipScore], videos: Mapping[tuple[str, str, str], str]
) -> list[dict[str, Json]]:
    grouped: dict[str, list[ClipScore]] = {}
    for score in sorted(scores, key=lambda score: (score.clip_id, score.method, score.metric)):
        grouped.setdefault(score.clip_id, []).append(score)
    return [_clip(dataset, clip_id, found, videos) for clip_id, found in grouped.items()]


def _clip(
    dataset: str, clip_id: str, scores: Sequence[ClipScore], videos: Mapping[tuple[str, str, str], str]
) -> dict[str, Json]:
    first = scores[0]
    by_method: dict[str, dict[str, Json]] = {}
    for score in scores:
        details = {name: number(value) for name, value in score.details.items()}
        cell = {"value": number(score.value), "reason": score.reason, "details": details}
        by_method.setdefault(score.method, {})[score.metric] = cell
    paths = {method: videos[dataset, method, clip_id] for method in by_method if (dataset, method, clip_id) in videos}
    return {
        "dataset": dataset,
        "split": first.split,
        "clip_id": clip_id,
        "speaker_id": first.speaker_id,
        "language": first.language,
        "reference": videos.get((dataset, REFERENCE, clip_id)),
        "videos": paths,
        "scores": by_method,
    }


def _curves(metric: str, scores: Mapping[str, Sequence[ClipScore]]) -> list[dict[str, Json]]:
    found = [
        (dataset, score)
        for dataset in sorted(scores)
        for score in sorted(scores[dataset], key=lambda score: (score.clip_id, score.method))
        if score.metric == metric and score.values is not None
    ]
    return [
        {
            "dataset": dataset,
            "clip_id": score.clip_id,
            "method": score.method,
            "fps": FPS,
            "values": [number(float(value)) for value in _column(score.values)],
        }
        for dataset, score in found
    ]


def _column(values: np.ndarray | None) -> np.ndarray:
    """Values per frame: column 0 of (T, C), or (T,) itself."""
    if values is None or not len(values):
        return np.zeros(0)
    column: np.ndarray = values.reshape(len(values), -1)[:, 0]
    return column
