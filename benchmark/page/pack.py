"""What the script reads: values per clip in columns, videos by pattern, curves as one letter per point.

Five hundred clips of ten methods and sixteen metrics with two curves each stay below 3 MB. The packed form:

    metrics  [{name, heading, digits, better}]      curves   [{name, label}]
    letters  the alphabet of curves                 reasons  texts, named by their number
    fps, paper (names of the metrics of the paper's Table I)
    sets     [{dataset, split, ids, speakers, languages, methods}], lists by clip; methods as follows
             title, kind, values {metric: [number, "inf" or null]}, why {metric: {clip: reason}},
             missing {clip: reason} (why there is no video), videos {prefix, names (null: the ids), suffix},
             curves {metric: {clip: [seconds, low, high, letters]}}
"""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmark.page.words import ARROWS, visible

LETTERS = "!#$%()*+,-./0123456789:;=?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[]^_abcdefghijklmnopqrstuvwxyz{|}~"
GAP = " "
_LETTERS = np.array(list(LETTERS))
CURVE_BYTES = 1_300_000  # for all curves together
FEWEST_POINTS, MOST_POINTS = 48, 600
_CURVE_LABELS = {"ear": "EAR", "lpips_consecutive": "LPIPS to previous"}
_PAPER = ("lse_c", "lmd", "blink", "cpbd", "psnr")

Json = Any


class _Reasons:
    """Texts, each kept once."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def number(self, text: str) -> int:
        return self._numbers.setdefault(visible(text), len(self._numbers))

    def texts(self) -> list[str]:
        return list(self._numbers)


def pack(data: dict[str, Json]) -> dict[str, Json]:
    """The packed form of `benchmark.tables.page_data`'s object."""
    reasons = _Reasons()
    grouped: dict[tuple[str, str], list[dict[str, Json]]] = {}
    for clip in data["clips"]:
        grouped.setdefault((clip["dataset"], clip["split"]), []).append(clip)
    curves = _curves(data["curves"])
    sets = [_set(dataset, split, clips, data, curves, reasons) for (dataset, split), clips in grouped.items()]
    fps = {curve["fps"] for found in data["curves"].values() for curve in found}
    labels = {metric["name"]: metric["label"] for metric in data["metrics"]}
    return {
        "fps": max(fps, default=25),
        "letters": LETTERS,
        "paper": [name for name in _PAPER if name in labels],
        "metrics": [_metric(metric) for metric in data["metrics"]],
        "curves": [{"name": name, "label": _CURVE_LABELS.get(name, labels.get(name, name))} for name in data["curves"]],
        "reasons": reasons.texts(),
        "sets": sets,
    }


def as_script(value: Json) -> str:
    """JSON that may stand between script tags: no `<`, `>` or `&` is left in it, and it is plain ASCII."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _metric(metric: dict[str, Json]) -> dict[str, Json]:
    unit = f" [{metric['unit']}]" if metric["unit"] else ""
    heading = f"{metric['label']}{unit} {ARROWS[metric['better']]}"
    return {"name": metric["name"], "heading": heading, "digits": metric["digits"], "better": metric["better"]}


def _set(
    dataset: str,
    split: str,
    clips: Sequence[dict[str, Json]],
    data: dict[str, Json],
    curves: dict[tuple[str, str, str], dict[str, list[Json]]],
    reasons: _Reasons,
) -> dict[str, Json]:
    """The clips of one data set and split."""
    used = {name for clip in clips for name in clip["scores"]}
    methods = [method for method in data["methods"] if method["name"] in used]
    known = {method["name"] for method in methods}
    methods += [{"name": name, "label": name, "kind": "method"} for name in sorted(used - known)]
    if not any(method["kind"] == "ground_truth" for method in methods) and any(clip["reference"] for clip in clips):
        methods.insert(0, {"name": "", "label": "reference", "kind": "ground_truth"})
    methods.sort(key=lambda method: ("ground_truth", "method", "control").index(method["kind"]))
    return {
        "dataset": visible(dataset),
        "split": visible(split),
        "ids": [visible(clip["clip_id"]) for clip in clips],
        "speakers": [visible(clip["speaker_id"] or "") for clip in clips],
        "languages": [visible(clip["language"] or "") for clip in clips],
        "methods": [_method(method, clips, data["metrics"], curves, reasons) for method in methods],
    }


def _method(
    method: dict[str, Json],
    clips: Sequence[dict[str, Json]],
    metrics: Sequence[dict[str, Json]],
    curves: dict[tuple[str, str, str], dict[str, list[Json]]],
    reasons: _Reasons,
) -> dict[str, Json]:
    name, is_truth = method["name"], method["kind"] == "ground_truth"
    values: dict[str, list[Json]] = {}
    why: dict[str, dict[int, int]] = {}
    for metric in metrics:
        cells = [clip["scores"].get(name, {}).get(metric["name"]) for clip in clips]
        if metric["has_clip_value"] and any(cells):
            column = [_rounded(cell["value"], metric["digits"]) if cell else None for cell in cells]
            values[metric["name"]] = column
        told = {index: reasons.number(cell["reason"]) for index, cell in enumerate(cells) if cell and cell["reason"]}
        if told:
            why[metric["name"]] = told
    paths = [clip["videos"].get(name) or (clip["reference"] if is_truth else None) for clip in clips]
    usable = [path if path and _is_relative(path) else None for path in paths]
    missing = {
        index: reasons.number(_missing(path, clip["scores"].get(name, {})))
        for index, (path, clip) in enumerate(zip(paths, clips, strict=True))
        if usable[index] is None
    }
    found: dict[str, dict[int, list[Json]]] = {}
    for index, clip in enumerate(clips):
        for metric_name, packed in curves.get((clip["dataset"], clip["clip_id"], name), {}).items():
            found.setdefault(metric_name, {})[index] = packed
    title = visible(method["label"] or name)
    return {
        "title": f"{title} (control)" if method["kind"] == "control" else title,
        "kind": method["kind"],
        "values": values,
        "why": why,
        "missing": missing,
        "videos": _pattern(usable, [visible(clip["clip_id"]) for clip in clips]),
        "curves": found,
    }


def _missing(path: str | None, scores: dict[str, dict[str, Json]]) -> str:
    """Why there is no video: most often the reason of every null."""
    if path:
        return f"no video: {path} is not a path relative to this page"
    told = sorted({cell["reason"] for cell in scores.values() if cell["reason"]})
    return next((reason for reason in told if "video" in reason.split(":")[0]), "no video beside this page")


def _is_relative(path: str) -> bool:
    return not path.startswith(("/", "\\")) and "\0" not in path and ":" not in path.partition("/")[0]


def _rounded(value: Json, digits: int) -> Json:
    """One digit more than tables print; a whole number without its point."""
    if not isinstance(value, float):
        return value
    short = round(value, digits + 1)
    return int(short) if short == int(short) else short


def _pattern(paths: Sequence[str | None], ids: Sequence[str]) -> dict[str, Json]:
    """Paths as common beginning and end around the clips' ids; written out where they do not follow that pattern."""
    pairs = [(path, clip_id) for path, clip_id in zip(paths, ids, strict=True) if path is not None]
    if pairs and pairs[0][1]:
        before, found, after = pairs[0][0].partition(pairs[0][1])
        if found and all(path == before + clip_id + after for path, clip_id in pairs):
            return {"prefix": before, "names": None, "suffix": after}
    return {"prefix": "", "names": list(paths), "suffix": ""}


def _curves(found: dict[str, list[dict[str, Json]]]) -> dict[tuple[str, str, str], dict[str, list[Json]]]:
    """Packed curves by data set, clip and method, then by metric."""
    number = sum(len(curves) for curves in found.values())
    points = min(MOST_POINTS, max(FEWEST_POINTS, CURVE_BYTES // max(1, number) - 40))
    packed: dict[tuple[str, str, str], dict[str, list[Json]]] = {}
    for name, curves in found.items():
        for curve in curves:
            key = (curve["dataset"], curve["clip_id"], curve["method"])
            values = np.array(curve["values"], np.float64)  # null becomes NaN, "inf" infinite
            values[~np.isfinite(values)] = np.nan
            if np.isfinite(values).any():
                packed.setdefault(key, {})[name] = pack_curve(values, curve["fps"], points)
    return packed


def pack_curve(values: np.ndarray, fps: float, points: int) -> list[Json]:
    """float64 (T,) with at least one finite value -> [seconds, low, high, letters], of at most `points` letters."""
    kept = thinned(values, points)
    finite = np.isfinite(kept)
    low, high = float(kept[finite].min()), float(kept[finite].max())
    steps = np.zeros(len(kept), np.int64)
    steps[finite] = np.rint((kept[finite] - low) / ((high - low) or 1.0) * (len(LETTERS) - 1))
    letters = "".join(np.where(finite, _LETTERS[steps], GAP))
    return [round(len(values) / fps, 3), float(f"{low:.4g}"), float(f"{high:.4g}"), letters]


def thinned(values: np.ndarray, points: int) -> np.ndarray:
    """float64 (T,) -> at most `points` values that keep every peak and dip: lowest and highest of each stretch.

    A blink lasts three frames; every n-th value would lose it. NaN where a stretch has no finite value.
    """
    if len(values) <= points:
        return values
    edges = np.linspace(0, len(values), points // 2 + 1).astype(int)[:-1]
    number = np.repeat(np.arange(len(edges)), np.diff([*edges, len(values)]))  # of the stretch, by frame
    lowest = np.fmin.reduceat(values, edges)
    highest = np.fmax.reduceat(values, edges)
    frames = np.arange(len(values))
    low_at = np.minimum.reduceat(np.where(values == lowest[number], frames, len(values)), edges)
    high_at = np.minimum.reduceat(np.where(values == highest[number], frames, len(values)), edges)
    pairs: np.ndarray = np.stack([lowest, highest], axis=1)
    pairs[high_at < low_at] = pairs[high_at < low_at, ::-1]
    return pairs.reshape(-1)
