"""Score one method's videos: a stage over shards of clips, one result per clip and metric.

Files are named by content: a result is computed again when a video, a sound, a metric's options, its version, its
weights or a package it rests on has changed, and only then.
"""

import dataclasses
import importlib.metadata
import json
import logging
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from benchmark.clip_score import ITEMS, SCORES, ClipScore, ScoreItem, clip_score
from benchmark.footage import Footage, Unscored
from benchmark.metric import MetricBase
from benchmark.normalise import AS_IS, Normalise
from chdtf import weights
from chdtf.columns import Row, rows_from_table, table_from_rows
from chdtf.engine.chain import Chain, chain_is_complete
from chdtf.engine.execute import Progress, run_local
from chdtf.engine.shards import (
    Workspace,
    content_hash,
    read_shard,
    shard_metadata,
    write_shard,
)
from chdtf.errors import UserError, is_disk_full
from chdtf.files import sha256_file
from chdtf.schema import OUTCOME

log = logging.getLogger(__name__)

CLIPS_PER_SHARD = 4
MIN_LENGTH_SHARE = 0.9  # an output shorter than this part of its reference is not scored


@dataclasses.dataclass(frozen=True)
class Score:
    """The stage: one row per clip in, one row per clip and metric out."""

    name: ClassVar[str] = "score"
    version: ClassVar[int] = 1
    adds: ClassVar[pa.Schema] = SCORES

    metrics: tuple[MetricBase, ...]
    identities: tuple[str, ...]  # see `identity`; with it, what a value depends on is in the fingerprint
    normalise: Normalise = AS_IS

    def load(self) -> dict[str, Any]:
        """Models of all metrics; in place of a model that cannot be had stands the `Unscored` that says why."""
        return {metric.name: _load(metric) for metric in self.metrics}

    def apply(self, row: Row, model: dict[str, Any], workspace: Workspace) -> Iterator[Row]:
        """Normalise the clip's videos once and measure them with every metric."""
        generated, reference, problem = self._footage(row, workspace.root)
        for metric, identity in zip(self.metrics, self.identities, strict=True):
            out = {**row, "metric": metric.name, "metric_config": identity}
            if generated is not None:
                out |= {
                    "num_frames": generated.num_frames,
                    "normalised_sha256": generated.normalised_sha256,
                    "reference_normalised_sha256": reference.normalised_sha256 if reference else None,
                    "notes": "; ".join(generated.notes),
                }
            yield out | _measure(metric, generated, reference, problem, model[metric.name])

    def _footage(self, row: Row, root: Path) -> tuple[Footage | None, Footage | None, Unscored | None]:
        if row["problem"]:
            return None, None, Unscored(row["problem"])
        audio = root / row["audio"] if row["audio"] else None
        try:
            generated = self.normalise.footage(root / row["generated"], audio)
        except Unscored as problem:
            return None, None, problem
        if not row["reference"]:
            return generated, None, None
        try:
            reference = self._with_kept_landmarks(AS_IS.footage(root / row["reference"]), root)
        except Unscored as problem:
            return None, None, Unscored(f"reference: {problem.reason}")
        if generated.frames_sha256 == reference.frames_sha256:
            generated = dataclasses.replace(generated, landmarks_file=reference.landmarks_file)
        expected = reference.num_frames - generated.start_frame
        if generated.num_frames < MIN_LENGTH_SHARE * expected:
            return None, None, Unscored(f"too_short: {generated.num_frames} of {expected} frames")
        return generated, reference, None

    @staticmethod
    def _with_kept_landmarks(reference: Footage, root: Path) -> Footage:
        """Landmarks of a reference are kept beside the scores: every method is compared with the same ones."""
        tracker = importlib.metadata.version("mediapipe")
        file = root.parent / "reference_landmarks" / f"{reference.frames_sha256[:32]}-{tracker}.npy"
        return dataclasses.replace(reference, landmarks_file=file)


def _load(metric: MetricBase) -> Any:
    try:
        return metric.load()
    except Unscored as problem:
        return problem


def _measure(
    metric: MetricBase, generated: Footage | None, reference: Footage | None, problem: Unscored | None, model: Any
) -> Row:
    try:
        if problem or generated is None:
            raise problem or Unscored("missing_video")
        if isinstance(model, Unscored):
            raise model
        if generated.geometry not in metric.geometries:
            raise Unscored(f"geometry: {metric.label} means nothing on {generated.geometry}")
        if "reference" in metric.needs and reference is None:
            raise Unscored("no_reference")
        if "audio" in metric.needs and generated.waveform is None:
            raise Unscored("no_audio")
        values = np.asarray(metric.measure(generated, reference, model), np.float64)
        value = metric.clip_value(values) if metric.has_clip_value else None
        if value is not None and np.isnan(value):
            raise Unscored("not_a_number")
    except Unscored as unscored:
        return {"reason": unscored.reason}
    except Exception as error:
        if isinstance(error, UserError) or is_disk_full(error):
            raise
        # `error` makes the next run try this clip again
        said = f"failed: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        log.error("metric %s %s", metric.name, said, exc_info=log.isEnabledFor(logging.INFO))
        return {"reason": said, "error": f"{metric.name}: {said}"}
    width = values.shape[1] if values.ndim == 2 else 0
    return {"value": value, "values": values, "values_width": width, "details": json.dumps(metric.details(values))}


def identity(metric: MetricBase) -> str:
    """JSON of all that a metric's values depend on besides the videos."""
    packages = {}
    for package in metric.packages:
        try:
            packages[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            packages[package] = "absent"
    files = {name: weights.check(name) for name in metric.weights}
    hashes = {name: found.weights.sha256 if found.state == "ok" else found.state for name, found in files.items()}
    options = {field.name: getattr(metric, field.name) for field in dataclasses.fields(metric)}
    found = {
        "name": metric.name,
        "version": metric.version,
        "options": options,
        "weights": hashes,
        "packages": packages,
    }
    return json.dumps(found, default=str)


def _row(method: str, item: ScoreItem, out: Path) -> Row:
    row: Row = {"clip_id": item.clip_id, "video_id": item.clip_id, "method": method}
    row |= {"speaker_id": item.speaker_id, "language": item.language, "split": item.split, "problem": item.problem}
    for role, path in (("generated", item.generated), ("reference", item.reference), ("audio", item.audio)):
        if path is not None:
            row[role] = Path(os.path.relpath(path, out)).as_posix()
            row[f"{role}_sha256"] = sha256_file(path) if path.is_file() else None
    return row


def _plan(method: str, items: Sequence[ScoreItem], root: Path, stage: Score) -> list[Chain]:
    chains = []
    for index, begin in enumerate(range(0, len(items), CLIPS_PER_SHARD)):
        chain = Chain(root, index, (stage,))
        chains.append(chain)
        rows = [_row(method, item, root) for item in items[begin : begin + CLIPS_PER_SHARD]]
        table = table_from_rows(rows, ITEMS)
        source = chain.path(0)
        if not source.exists() or shard_metadata(source)["content"] != content_hash(table):
            write_shard(table, source, "items")
    return chains


def scores_path(out: Path, method: str) -> Path:
    """Where the per-clip results of a method lie."""
    return out / "scores" / f"{method}.parquet"


def score_all(
    jobs: Mapping[str, Iterable[ScoreItem]],
    out: Path,
    metrics: Sequence[MetricBase],
    workers: int = 0,
    progress: Progress = lambda done, total, what: None,
    normalise: Normalise = AS_IS,
) -> dict[str, list[ClipScore]]:
    """Measure every clip of every method with every metric; keep what is there, write `out/scores/<method>.parquet`.

    `jobs` holds the clips of each method, by its name. Clips that cannot be scored stay in the result with a reason.
    When nothing has changed no model is loaded and no worker is started. Raises `UserError` for a clip named twice.
    """
    stage = Score(tuple(metrics), tuple(identity(metric) for metric in metrics), normalise)
    chains = {method: _chains(method, list(items), out, stage) for method, items in jobs.items()}
    stale = [chain for planned in chains.values() for chain in planned if not chain_is_complete(chain)]
    _, dead = run_local(stale, workers, progress) if stale else ([], [])
    return {method: _collected(method, planned, dead, out, metrics) for method, planned in chains.items()}


def score(
    method: str,
    items: Iterable[ScoreItem],
    out: Path,
    metrics: Sequence[MetricBase],
    workers: int = 0,
    progress: Progress = lambda done, total, what: None,
    normalise: Normalise = AS_IS,
) -> list[ClipScore]:
    """`score_all` for one method."""
    return score_all({method: items}, out, metrics, workers, progress, normalise)[method]


def _chains(method: str, items: Sequence[ScoreItem], out: Path, stage: Score) -> list[Chain]:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", method):
        raise UserError(f"method name {method!r}: use letters, digits, '.', '_' and '-'")
    seen: set[str] = set()
    for item in items:
        if item.clip_id in seen:
            raise UserError(f"clip {item.clip_id!r} is to be scored twice for {method}; name each clip once")
        seen.add(item.clip_id)
    return _plan(method, items, (out / "scores" / method).resolve(), stage)


def _collected(
    method: str, chains: Sequence[Chain], dead: Sequence[Chain], out: Path, metrics: Sequence[MetricBase]
) -> list[ClipScore]:
    rows = []
    for chain in chains:
        rows += _lost(chain, metrics) if chain in dead else rows_from_table(read_shard(chain.result))
    table = table_from_rows(rows, pa.schema([*(f for f in ITEMS if f.name not in OUTCOME.names), *SCORES, *OUTCOME]))
    content = content_hash(table)
    target = scores_path(out, method)
    if not target.exists() or shard_metadata(target)["content"] != content:
        write_shard(table, target, content)
    return [clip_score(row) for row in rows]


def _lost(chain: Chain, metrics: Sequence[MetricBase]) -> list[Row]:
    """Rows of a shard whose worker died twice: null, with that as the reason."""
    rows = rows_from_table(read_shard(chain.path(0)))
    why = {"reason": "failed: the worker died", "error": "the worker died"}
    return [{**row, "metric": metric.name, **why} for row in rows for metric in metrics]
