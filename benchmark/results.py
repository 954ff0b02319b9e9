"""Folders of `disentbench run` and `disentbench score`, read back and merged; what does not belong together is refused.

Scores of one metric are comparable only when its version, options and weights are the same, and rows only when clips
and references are. A video scored on two machines counts once; another video under the same name is refused.
"""

import collections
import dataclasses
import functools
import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from benchmark.clip_score import ClipScore, read_scores
from benchmark.withdrawn import withdrawn_scores, without_value
from chdtf.errors import UserError
from chdtf.tombstones import Tombstones

NOTHING_WITHDRAWN = Tombstones()
GENERATED_WEIGHTS = "generated_weights"  # in the configuration of a run that proves wrappers and measures nothing
Key = tuple[str, str, str, str]  # data set, method, clip, metric


@dataclasses.dataclass(frozen=True, eq=False)
class Results:
    """One folder: `scores` by method; `kinds` of methods and `sources` of clips (`video_id`) as runs recorded them."""

    folder: Path
    dataset: str
    kinds: Mapping[str, str]
    scores: Mapping[str, Sequence[ClipScore]]
    videos: Mapping[tuple[str, str], str]  # SHA-256 of the generated videos, by method and clip
    sources: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, eq=False)
class Merged:
    """Scores by data set and method; files by data set, method ("" for references) and clip; what is to be told."""

    scores: Mapping[str, Mapping[str, Sequence[ClipScore]]]
    kinds: Mapping[str, str]
    files: Mapping[tuple[str, str, str], Path]
    notes: tuple[str, ...]


def read_results(folder: Path, dataset: str = "") -> Results:
    """What a folder holds; `dataset` names its data set where the folder's own records should not.

    Raises `UserError` when it holds no scores, or cannot be read.
    """
    files = sorted((folder / "scores").glob("*.parquet"))
    if not files:
        raise UserError(f"{folder}: no scores/*.parquet; name folders that disentbench run or score wrote")
    records = [_record(path) for path in sorted((folder / "runs").glob("*.json"))]  # named by time
    configs = [_mapping(record.get("config")) for record in records]
    if any(config.get(GENERATED_WEIGHTS) for config in configs):
        raise UserError(f"{folder}: of generated weights, which prove a wrapper and measure nothing; leave it away")
    names = [config.get("dataset") or Path(config["data"]).name for config in configs if _names_dataset(config)]
    kinds: dict[str, str] = {}
    for config in configs:
        kinds |= config.get("kinds") or {}
    sources: dict[str, str] = {}
    for record in records:
        sources |= _mapping(record.get("inputs"))
    scores = {path.stem: read_scores(path) for path in files}
    videos = {key: value for path in files for key, value in _video_hashes(path).items()}
    return Results(folder, dataset or (names or [folder.resolve().name])[-1], kinds, scores, videos, sources)


def merge(results: Sequence[Results], tombstones: Tombstones = NOTHING_WITHDRAWN) -> Merged:
    """All folders in one. The order of `results` changes nothing but the folders that messages name first.

    A clip that one run left out as withdrawn, or whose source is among `tombstones`, has no value in any row.

    Raises `UserError`, naming both folders, where a metric has two versions, options or weights, or a method two
    videos of one clip.
    """
    _refuse_mixed_metrics(results)
    _refuse_other_videos(results)
    kept: dict[Key, list[ClipScore]] = collections.defaultdict(list)
    for one in results:
        for method, scores in one.scores.items():
            for score in scores:
                kept[one.dataset, method, score.clip_id, score.metric].append(score)
    withdrawn = _withdrawn(results, tombstones)
    merged: dict[str, dict[str, list[ClipScore]]] = collections.defaultdict(lambda: collections.defaultdict(list))
    for (dataset, method, clip, _), found in sorted(kept.items()):
        score = min(found, key=_preference)
        words = withdrawn.get((dataset, clip))
        merged[dataset][method].append(without_value(score, words) if words else score)
    kinds = {method: kind for one in results for method, kind in sorted(one.kinds.items())}
    notes = [*_differing_values(kept.values()), *_differing_packages(results)]
    files = {key: path for key, path in _files(results).items() if (key[0], key[2]) not in withdrawn}
    return Merged(merged, kinds, files, tuple(notes))


def _withdrawn(results: Sequence[Results], tombstones: Tombstones) -> dict[tuple[str, str], str]:
    """Words by data set and clip."""
    found: dict[tuple[str, str], str] = {}
    for dataset in {one.dataset for one in results}:
        part = [one for one in results if one.dataset == dataset]
        scores = (score for one in part for method in one.scores.values() for score in method)
        sources = {clip: source for one in part for clip, source in sorted(one.sources.items())}
        found |= {(dataset, clip): words for clip, words in withdrawn_scores(scores, tombstones, sources).items()}
    return found


def _preference(score: ClipScore) -> tuple[object, ...]:
    """A scored clip before a null one (the weights may lie on one machine only), then any fixed order."""
    value = score.value
    return score.reason is not None, score.reason or "", value is None, value or 0.0, score.split, score.metric_config


def _record(path: Path) -> Mapping[str, Any]:
    try:
        return _mapping(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not a readable run record ({error}); remove it, the scores do not need it") from error


def _mapping(found: Any) -> Mapping[str, Any]:
    return found if isinstance(found, dict) else {}


def _names_dataset(config: Mapping[str, Any]) -> bool:
    return bool(config.get("dataset") or config.get("data"))


def _video_hashes(path: Path) -> dict[tuple[str, str], str]:
    columns = ["clip_id", "generated_sha256"]
    if not set(columns) <= set(pq.read_schema(path).names):
        return {}
    rows = pq.read_table(path, columns=columns).to_pylist()
    return {(path.stem, row["clip_id"]): row["generated_sha256"] for row in rows if row["generated_sha256"]}


def _refuse_mixed_metrics(results: Sequence[Results]) -> None:
    for part in ("version", "options", "weights"):
        for metric, by_text in _configs(results, part).items():
            if len(by_text) > 1:
                told = "; ".join(f"{text} in {places[0]}" for text, places in sorted(by_text.items()))
                raise UserError(
                    f"metric {metric} was computed with different {part}: {told}; such values do not compare: score "
                    "one of them again"
                )


def _configs(results: Sequence[Results], part: str) -> dict[str, dict[str, list[str]]]:
    """By metric: that part of its configuration, as JSON, and the files whose scored clips have it."""
    found: dict[str, dict[str, list[str]]] = collections.defaultdict(dict)
    for one in results:
        for method, scores in one.scores.items():
            place = str(one.folder / "scores" / f"{method}.parquet")
            configs = {(score.metric, score.metric_config) for score in scores if score.reason is None}
            for metric, text in sorted(configs):
                config = _parsed(text)
                if config:
                    chosen = json.dumps(config.get(part), sort_keys=True)
                    found[metric].setdefault(chosen, []).append(place)
    return found


@functools.lru_cache(maxsize=256)
def _parsed(text: str) -> Mapping[str, Any]:
    found = json.loads(text or "{}")
    return found if isinstance(found, dict) else {}


def _refuse_other_videos(results: Sequence[Results]) -> None:
    seen: dict[tuple[str, str, str], tuple[str, Path]] = {}
    for one in results:
        for (method, clip), digest in one.videos.items():
            first, folder = seen.setdefault((one.dataset, method, clip), (digest, one.folder))
            if first != digest:
                raise UserError(
                    f"method {method}, clip {clip}: {one.folder} scored another video than {folder}; two outputs of "
                    "one method do not mix: leave one folder out, or give its method another name"
                )


def _differing_values(kept: Iterable[Sequence[ClipScore]]) -> list[str]:
    largest: dict[str, float] = {}
    count: collections.Counter[str] = collections.Counter()
    for found in kept:
        values = [score.value for score in found if score.value is not None and math.isfinite(score.value)]
        if values and max(values) > min(values):
            metric = found[0].metric
            count[metric] += 1
            largest[metric] = max(largest.get(metric, 0.0), max(values) - min(values))
    return [
        f"{metric}: {count[metric]} clips were scored twice, with values up to {largest[metric]:.2g} apart; the "
        "smaller is kept"
        for metric in sorted(count)
    ]


def _differing_packages(results: Sequence[Results]) -> list[str]:
    versions: dict[str, dict[str, set[str]]] = collections.defaultdict(lambda: collections.defaultdict(set))
    for metric, by_text in _configs(results, "packages").items():
        for text in by_text:
            for package, version in (json.loads(text) or {}).items():
                versions[package][version].add(metric)
    return [
        f"{package}: scores were computed with versions {' and '.join(sorted(found))}"
        for package, found in sorted(versions.items())
        if len(found) > 1
    ]


def _files(results: Sequence[Results]) -> dict[tuple[str, str, str], Path]:
    """Where the videos lie, as far as they are still there."""
    files: dict[tuple[str, str, str], Path] = {}
    for one in results:
        for method, scores in one.scores.items():
            base = one.folder / "scores" / method
            for score in scores:
                for role, path in ((method, score.generated), ("", score.reference)):
                    key = (one.dataset, role, score.clip_id)
                    # the folder scores/METHOD need not have been copied along
                    if path and key not in files and (found := Path(os.path.normpath(base / path))).is_file():
                        files[key] = found.resolve()
    return files
