"""Score methods' videos: shards of clips through the stage `benchmark.measure.Score`, one result per clip and metric.

Files are named by content: a result is computed again when a video, a sound, a metric's options, its version, its
weights or a package it rests on has changed, and only then.
"""

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from benchmark.clip_score import ITEMS, SCORES, SCORES_VERSION, TIMINGS, ClipScore, ScoreItem, clip_score
from benchmark.geometry import metrics_of
from benchmark.known import MADE_BY
from benchmark.measure import Score, identity
from benchmark.metric import MetricBase
from benchmark.normalise import AS_IS, Normalise
from chdtf.columns import Row, rows_from_table, table_from_rows
from chdtf.engine.chain import Chain, chain_is_complete
from chdtf.engine.execute import Outcome, Progress, run_local
from chdtf.engine.shards import content_hash, read_shard, shard_metadata, write_shard
from chdtf.errors import UserError
from chdtf.files import sha256_file
from chdtf.schema import OUTCOME

__all__ = ["Runner", "Score", "check_method_name", "identity", "score", "score_all", "scores_path"]

CLIPS_PER_SHARD = 4
TABLE = pa.schema([*(field for field in ITEMS if field.name not in OUTCOME.names), *SCORES, *OUTCOME])

Runner = Callable[[Sequence[Chain], Progress], Outcome]  # such as `run_ray` with its address


def scores_path(out: Path, method: str) -> Path:
    """Where the per-clip results of a method lie."""
    return out / "scores" / f"{method}.parquet"


def check_method_name(method: str) -> None:
    """Raise `UserError` unless the name can be that of a file and a column."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", method):
        raise UserError(f"method name {method!r}: use letters, digits, '.', '_' and '-'")


def score_all(
    jobs: Mapping[str, Iterable[ScoreItem]],
    out: Path,
    metrics: Sequence[MetricBase],
    workers: int = 0,
    progress: Progress = lambda done, total, what: None,
    normalise: Normalise | Mapping[str, Normalise] = AS_IS,
    runner: Runner | None = None,
) -> dict[str, list[ClipScore]]:
    """Measure every clip of every method with every metric; keep what is there, write `out/scores/<method>.parquet`.

    `jobs` holds the clips of each method, `normalise` what is undone in its videos, by its name or the same for all. A
    method of geometry `recrop` gets the metrics of re-aligned frames as well (`benchmark.geometry.metrics_of`). Clips
    that cannot be scored stay in the result with a reason. When nothing has changed no model is loaded and no worker
    is started. `runner` runs the shards instead of `workers` local processes (0: this one), to the same result.
    Raises `UserError` for a clip named twice.
    """
    stages = {method: _stage(method, metrics, normalise, out) for method in jobs}
    chains = {method: _chains(method, list(items), out, stages[method]) for method, items in jobs.items()}
    stale = [chain for planned in chains.values() for chain in planned if not chain_is_complete(chain)]
    dead: list[Chain] = []
    if stale:
        _, dead = runner(stale, progress) if runner else run_local(stale, workers, progress)
    return {method: _collected(method, planned, dead, out, stages[method]) for method, planned in chains.items()}


def score(
    method: str,
    items: Iterable[ScoreItem],
    out: Path,
    metrics: Sequence[MetricBase],
    workers: int = 0,
    progress: Progress = lambda done, total, what: None,
    normalise: Normalise = AS_IS,
    runner: Runner | None = None,
) -> list[ClipScore]:
    """`score_all` for one method."""
    return score_all({method: items}, out, metrics, workers, progress, normalise, runner)[method]


def _stage(
    method: str, metrics: Sequence[MetricBase], normalise: Normalise | Mapping[str, Normalise], out: Path
) -> Score:
    how = normalise if isinstance(normalise, Normalise) else normalise.get(method, AS_IS)
    measured = metrics_of(metrics, how.geometry)
    identities = tuple(identity(metric) for metric in measured)
    return Score(tuple(measured), identities, how, scores_path(out, method).resolve())


def _chains(method: str, items: Sequence[ScoreItem], out: Path, stage: Score) -> list[Chain]:
    check_method_name(method)
    seen: set[str] = set()
    for item in items:
        if item.clip_id in seen:
            raise UserError(f"clip {item.clip_id!r} is to be scored twice for {method}; name each clip once")
        seen.add(item.clip_id)
    return _plan(method, items, (out / "scores" / method).resolve(), stage)


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


def _row(method: str, item: ScoreItem, root: Path) -> Row:
    row: Row = {"clip_id": item.clip_id, "video_id": item.clip_id, "method": method}
    row |= {"speaker_id": item.speaker_id, "language": item.language, "split": item.split}
    row |= {"problem": item.problem, "generation_s": item.generation_s}
    for role, path in (("generated", item.generated), ("reference", item.reference), ("audio", item.audio)):
        if path is not None:
            row[role] = Path(os.path.relpath(path, root)).as_posix()
            row[f"{role}_sha256"] = _sha256(path)
    return row


def _sha256(path: Path) -> str | None:
    """None for what cannot be read: the stage says why."""
    try:
        return sha256_file(path) if path.is_file() else None
    except OSError:
        return None


def _collected(method: str, chains: Sequence[Chain], dead: Sequence[Chain], out: Path, stage: Score) -> list[ClipScore]:
    rows = []
    for chain in chains:
        rows += _lost(chain, stage) if chain in dead else rows_from_table(read_shard(chain.result))
    table = table_from_rows(rows, TABLE)
    # seconds differ between equal runs; rows may have been taken out since (`disentbench purge`)
    untimed = content_hash(table.drop_columns(list(TIMINGS)))
    target = scores_path(out, method)
    is_there = target.exists() and shard_metadata(target)["fingerprint"] == untimed
    if not (is_there and pq.read_metadata(target).num_rows == len(rows)):
        about = {"scores_version": str(SCORES_VERSION), MADE_BY: str(stage.version)}
        write_shard(table, target, untimed, about)
    return [clip_score(row) for row in rows]


def _lost(chain: Chain, stage: Score) -> list[Row]:
    """Rows of a shard whose worker died twice: null, with that as the reason."""
    rows = rows_from_table(read_shard(chain.path(0)))
    why = {"reason": "failed: the worker died", "error": "the worker died"}
    configs = zip(stage.metrics, stage.identities, strict=True)
    named = [{"metric": metric.name, "metric_config": identity_} for metric, identity_ in configs]
    return [{**row, **one, **why} for row in rows for one in named]
