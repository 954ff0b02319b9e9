"""Build: from a manifest to a published dataset, keeping whatever an earlier run has done."""

import contextlib
import dataclasses
import fcntl
import functools
import logging
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from chdtf.clip import CONFIGS, read_description
from chdtf.columns import Row, table_from_rows
from chdtf.errors import UserError
from chdtf.execute import Chain, Progress, chain_is_complete, run_local
from chdtf.manifest import ManifestRow, read_manifest
from chdtf.record import RunRecord
from chdtf.schema import MANIFEST, OUTCOME
from chdtf.shards import (
    ShardReport,
    Stage,
    config_fingerprint,
    content_hash,
    extended_schema,
    shard_metadata,
    write_shard,
)
from chdtf.splits import with_splits
from pipelines.account import Account, account
from pipelines.publish import CARD, REJECTED, is_published, publication_fingerprint, publish, scalar_rows
from pipelines.recipes import chdtf_recipe

log = logging.getLogger(__name__)

INPUT = extended_schema(MANIFEST, OUTCOME)  # of the shards that the manifest is cut into


@dataclasses.dataclass(frozen=True)
class BuildSummary:
    """What a build came to."""

    out: Path
    account: Account
    published: bool  # False: the dataset was there already, unchanged
    shards_run: int  # shards that were worked on; 0: nothing was redone
    seconds: float
    stage_seconds: dict[str, float]  # by stage, summed over shards

    @property
    def rows_in(self) -> int:
        """Rows of the manifest."""
        return self.account.rows_in

    @property
    def accepted(self) -> int:
        """Videos with at least one accepted clip."""
        return self.account.accepted

    @property
    def rejected(self) -> int:
        """Videos without an accepted clip, by decision."""
        return self.account.rejected

    @property
    def failed(self) -> int:
        """Videos without an accepted clip because something went wrong; the next run tries them again."""
        return self.account.failed

    def text(self) -> str:
        """The account for a person, some lines."""
        a = self.account
        lines = [
            f"{a.rows_in} videos in: {a.accepted} accepted, {a.rejected} rejected, {a.failed} failed",
            f"clips: {a.clips_accepted} accepted, {a.clips_rejected} rejected, {a.clips_failed} failed",
        ]
        lines += [f"  rejected: {word} ({number})" for word, number in a.reasons.items()]
        lines += [f"  failed: {word} ({number})" for word, number in a.failures.items()]
        if a.clips_rejected or a.clips_failed:
            lines.append(f"reasons and scores: {self.out / 'rejected.parquet'}")
        if a.clips_failed:
            lines.append("run the same command again to try what failed")
        lines.append(f"dataset: {self.out}{'' if self.published else ' (unchanged)'}")
        return "\n".join(lines)


def _rebuild(manifest: Path, out: Path) -> str:
    return shlex.join(["rm", "-r", str(out)]) + " && " + f"make chdtf MANIFEST={manifest} OUT={out}"


def _check_folder(out: Path, rebuild: str) -> dict[str, Any] | None:
    """`dataset.json` of the folder, when it may be built into. Raises `UserError` when it may not."""
    if out.exists() and not out.is_dir():
        raise UserError(f"{out}: is a file; give a folder for the dataset")
    found = read_description(out, rebuild)
    if found is None and not (out / "work").is_dir():
        foreign = [name for name in (*CONFIGS, CARD, REJECTED) if (out / name).exists()]
        if foreign:
            raise UserError(f"{out}: holds {foreign[0]}, which is not of a dataset made here; give another folder")
    return found


def _refuse_local(rows: Sequence[ManifestRow], manifest: Path) -> None:
    """Say at once, not row by row, that local files need permission: a list may come from somebody else."""
    local = [row.video_id for row in rows if row.url.startswith("file:")]
    if local:
        raise UserError(
            f"{manifest}: {local[0]!r} and {len(local) - 1} more name files of this machine; if you trust the list, "
            "add --allow-local (make chdtf: BUILD_FLAGS=--allow-local)"
        )


def _input_table(rows: Sequence[ManifestRow]) -> pa.Table:
    return table_from_rows([{**row.as_row(), "clip_id": row.video_id} for row in rows], INPUT)


def _write_inputs(chains: Sequence[Chain], rows: Sequence[ManifestRow], videos_per_shard: int) -> None:
    """Write the shards that the chains begin with, where the manifest's rows differ from what is there."""
    for chain in chains:
        path = chain.path(0)
        table = _input_table(rows[chain.index * videos_per_shard : (chain.index + 1) * videos_per_shard])
        content = content_hash(table)
        if not (path.exists() and shard_metadata(path)["content"] == content):
            write_shard(table, path, content)


def _described(stage: Stage) -> dict[str, Any]:
    """Name, version and settings of a stage, without those that say where and how patiently."""
    fields = {
        field.name: getattr(stage, field.name)
        for field in dataclasses.fields(stage)  # type: ignore[arg-type]
        if field.metadata.get("fingerprint", True)
    }
    return {"name": stage.name, "version": stage.version, "fields": fields, "fingerprint": config_fingerprint(stage)}


def _lost_rows(chains: Sequence[Chain]) -> list[Row]:
    return [
        {**row, "error": "worker_died: twice, on this shard; its memory may not have sufficed"}
        for chain in chains
        for row in scalar_rows(chain.path(0))
    ]


def _stage_seconds(reports: Sequence[ShardReport]) -> dict[str, float]:
    seconds: dict[str, float] = {}
    for report in reports:
        seconds[report.stage] = round(seconds.get(report.stage, 0.0) + report.seconds, 3)
    return seconds


@contextlib.contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Hold the folder against other builds, and clear what a killed one left half-written."""
    (root / "work").mkdir(parents=True, exist_ok=True)
    with (root / "work" / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(f"{root}: another build is at work in it; wait for it or give another folder") from error
        for left in (root / "work").rglob(".tmp-*"):
            left.unlink(missing_ok=True)
        yield


def _no_progress(done: int, total: int, what: str) -> None:
    """Report to nobody."""


def build(
    manifest: Path,
    out: Path,
    workers: int = 2,
    allow_local: bool = False,
    videos_per_shard: int = 4,
    progress: Progress | None = None,
    stages: tuple[Stage, ...] | None = None,
) -> BuildSummary:
    """Build the dataset of a manifest in the folder `out`; what an earlier run has done is kept.

    `stages` replaces the recipe. Raises `UserError` for a manifest or folder that cannot be used. Failures of rows end
    in the account, not in an exception.
    """
    started = time.monotonic()
    rows = with_splits(read_manifest(manifest))
    if not allow_local:
        _refuse_local(rows, manifest)
    found = _check_folder(out, _rebuild(manifest, out))
    stages = stages or chdtf_recipe(manifest.absolute().parent, allow_local)
    root = out.absolute()
    chains = [Chain(root, index, stages) for index in range(-(-len(rows) // videos_per_shard))]
    settings: dict[str, Any] = {
        "stages": [_described(stage) for stage in stages],
        "manifest": content_hash(_input_table(rows)),
    }
    with _alone(root), _recorded(root, manifest, settings, workers) as record:
        _write_inputs(chains, rows, videos_per_shard)
        reports, dead = _run(chains, workers, progress or _no_progress)
        shards = [chain.result for chain in chains if chain not in dead]
        lost = _lost_rows(dead)
        published = not is_published(root, found, publication_fingerprint(shards, lost))
        if published:
            schema = functools.reduce(lambda schema, stage: extended_schema(schema, stage.adds), stages, INPUT)
            counts = publish(root, shards, lost, schema, settings)
        else:
            counts = account([*lost, *(row for path in shards for row in scalar_rows(path))])
        seconds = _stage_seconds(reports)
        record.details = {"account": dataclasses.asdict(counts), "stage_seconds": seconds, "published": published}
    worked_on = sum(not report.kept for report in reports)
    return BuildSummary(out, counts, published, worked_on, time.monotonic() - started, seconds)


@contextlib.contextmanager
def _recorded(root: Path, manifest: Path, settings: dict[str, Any], workers: int) -> Iterator[RunRecord]:
    """Write the run's record before the work, and complete it with how the work ended."""
    record = RunRecord.start(sys.argv, {**settings, "workers": workers})
    record.inputs = {str(manifest): settings["manifest"]}
    record.write(root)
    outcome = "failed"
    try:
        yield record
        outcome = "done"
    except KeyboardInterrupt:
        outcome = "interrupted"
        raise
    finally:
        record.finish(root, outcome)


def _run(chains: Sequence[Chain], workers: int, progress: Progress) -> tuple[list[ShardReport], list[Chain]]:
    """Run the chains that are not complete, without starting a process when all are."""
    pending = [chain for chain in chains if not chain_is_complete(chain)]
    kept = len(chains) - len(pending)
    progress(kept, len(chains), "kept")
    if not pending:
        return [], []
    return run_local(pending, workers, lambda done, _, what: progress(kept + done, len(chains), what))
