"""Build: from a manifest to a published dataset, keeping whatever an earlier run has done."""

import collections
import contextlib
import dataclasses
import functools
import logging
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from chdtf.clip import CONFIGS, read_description
from chdtf.columns import Row
from chdtf.engine.chain import Chain, chain_is_complete
from chdtf.engine.execute import Outcome, Progress, run_local
from chdtf.engine.plan import INPUT, input_rows, make_plan, planned_rows
from chdtf.engine.shards import content_hash
from chdtf.engine.stage import Stage, config_fingerprint, extended_schema
from chdtf.engine.step_log import ShardReport
from chdtf.engine.watch import clear, tidy
from chdtf.errors import UserError
from chdtf.folder import with_file_states
from chdtf.manifest import read_manifest_table
from chdtf.record import RunRecord
from chdtf.splits import splits_of
from chdtf.tombstones import find
from pipelines.account import Account
from pipelines.acquire.doctor import preflight
from pipelines.acquire.fetch import Network
from pipelines.exclusive import exclusive
from pipelines.judging.thresholds import Thresholds, thresholds_of
from pipelines.publication.lock import lock_table
from pipelines.publication.publish import CARD, REJECTED, is_published, publication_fingerprint, publish
from pipelines.publication.published import published_seconds
from pipelines.publication.report import REPORT, write_report
from pipelines.recipes import chdtf_recipe
from pipelines.status import duration, videos_done

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Engine:
    """Where the work runs: `local` processes (0: this one), or `ray` on a cluster (`address` None: a fresh one)."""

    kind: str = "local"
    workers: int = 2
    address: str | None = None

    def run(self, chains: Sequence[Chain], progress: Progress) -> Outcome:
        """Run the chains. Raises `UserError` for an engine that there is not."""
        if self.kind == "local":
            return run_local(chains, self.workers, progress)
        if self.kind == "ray":
            from chdtf.engine.execute_ray import run_ray

            return run_ray(chains, self.address, self.workers, progress)
        raise UserError(f"engine {self.kind!r}: there is 'local' and 'ray'")


@dataclasses.dataclass(frozen=True)
class BuildSummary:
    """What a build came to."""

    out: Path
    account: Account
    published: bool  # False: the dataset was there already, unchanged
    shards_run: int  # shards that were worked on; 0: nothing was redone
    seconds: float
    clip_s: float  # length of all accepted clips
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
            f"clips: {a.clips_accepted} accepted ({duration(self.clip_s)}), {a.clips_rejected} rejected, "
            f"{a.clips_failed} failed",
        ]
        lines += [f"  rejected: {word} ({number})" for word, number in a.reasons.items()]
        lines += [f"  failed: {word} ({number})" for word, number in a.failures.items()]
        if a.clips_rejected or a.clips_failed:
            lines.append(f"reasons and scores: {self.out / 'rejected.parquet'}")
        if a.clips_failed:
            lines.append("run the same command again to try what failed")
        if a.clips_rejected and not a.clips_accepted:
            lines.append(f"no clip is left; the report shows why, other thresholds: disentbench rethreshold {self.out}")
        lines.append(f"dataset: {self.out}{'' if self.published else ' (unchanged)'}")
        lines.append(f"report: {self.out / REPORT}")
        lines.append(f"took {duration(self.seconds)}")
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


def _refuse_local(rows: pa.Table, manifest: Path) -> None:
    """Say at once, not row by row, that local files need permission: a list may come from somebody else."""
    local = rows.filter(pc.starts_with(rows.column("url"), "file:", ignore_case=True)).column("video_id").to_pylist()
    if local:
        raise UserError(
            f"{manifest}: {local[0]!r} and {len(local) - 1} more name files of this machine; if you trust the list, "
            "add --allow-local (make chdtf: BUILD_FLAGS=--allow-local)"
        )


def _described(stage: Stage) -> dict[str, Any]:
    """Name, version and settings of a stage, without those that say where and how patiently."""
    kept = [field.name for field in dataclasses.fields(stage) if field.metadata.get("fingerprint", True)]  # type: ignore[arg-type]
    fields = {name: value for name, value in dataclasses.asdict(stage).items() if name in kept}  # type: ignore[call-overload]
    return {"name": stage.name, "version": stage.version, "fields": fields, "fingerprint": config_fingerprint(stage)}


def _lost_rows(chains: Sequence[Chain]) -> list[Row]:
    return [
        {**row, "error": "worker_died: again and again, on this shard; its memory may not have sufficed"}
        for chain in chains
        for row in planned_rows(chain.root, chain.index)
    ]


def _stage_seconds(reports: Sequence[ShardReport]) -> dict[str, float]:
    seconds: dict[str, float] = {}
    for report in reports:
        seconds[report.stage] = round(seconds.get(report.stage, 0.0) + report.seconds, 3)
    return seconds


def _stage_rows(reports: Sequence[ShardReport]) -> dict[str, int]:
    """Rows that each stage worked on."""
    counts: collections.Counter[str] = collections.Counter()
    for report in reports:
        counts[report.stage] += report.rows
    return dict(counts)


def _no_progress(done: int, total: int, what: str) -> None:
    """Report to nobody."""


def build(
    manifest: Path,
    out: Path,
    workers: int = 2,
    allow_local: bool = False,
    videos_per_shard: int | None = None,
    progress: Progress | None = None,
    stages: tuple[Stage, ...] | None = None,
    engine: Engine | None = None,
    thresholds: Thresholds | None = None,
    tombstones: Sequence[Path] = (),
    network: Network | None = None,
) -> BuildSummary:
    """Build the dataset of a manifest in the folder `out`; what an earlier run has done is kept.

    `workers` processes do the work (0: this one), or `engine` where it is given; `stages` replaces the recipe.
    `thresholds` judge the clips: those given, else those that the dataset was published with, else the defaults.
    `tombstones` are lists of withdrawn sources beside those that always count (`chdtf.tombstones.find`); `network` is
    how to get to sources: what it lacks for those of the manifest is said before work begins. Raises
    `UserError` for a manifest or folder that cannot be used. Failures of rows end in the account, not in an exception.
    """
    started = time.monotonic()
    locked = lock_table(manifest)
    rows = splits_of(read_manifest_table(manifest) if locked is None else locked)
    if not allow_local:
        _refuse_local(rows, manifest)
    found = _check_folder(out, _rebuild(manifest, out))
    thresholds = thresholds or (thresholds_of(found) if found else Thresholds())
    stages = stages or chdtf_recipe(manifest.absolute().parent, allow_local, network)
    for lack in preflight((url.as_py() for url in rows.column("url")), network):
        log.warning("%s", lack)
    root = out.absolute()
    settings: dict[str, Any] = {
        "stages": [_described(stage) for stage in stages],
        "manifest": content_hash(input_rows(rows)),
    }
    engine = engine or Engine(workers=workers)
    with exclusive(root), _recorded(root, manifest, settings, engine) as record:
        clear(root)
        blocked = find(*tombstones, dataset=root)
        planned = make_plan(root, with_file_states(rows, manifest.absolute().parent), videos_per_shard)
        chains = [
            Chain(root, shard.index, stages, blocked if blocked.entries else None, shard.content) for shard in planned
        ]
        pending = [chain for chain in chains if not chain_is_complete(chain)]
        record.details = {"videos": rows.num_rows, "stale": [chain.index for chain in pending]}
        record.details["videos_done_before"] = videos_done(root, planned, dataclasses.asdict(record))
        record.write(root)
        reports, dead = _run(chains, pending, engine, progress or _no_progress)
        shards = [chain.result for chain in chains if chain not in dead]
        lost = _lost_rows(dead)
        published = not is_published(root, found, publication_fingerprint(shards, lost, thresholds, blocked))
        seconds = _stage_seconds(reports)
        record.details |= {"stage_seconds": seconds, "stage_rows": _stage_rows(reports)}
        if published:
            schema = functools.reduce(lambda schema, stage: extended_schema(schema, stage.adds), stages, INPUT)
            counts = publish(root, shards, lost, schema, settings, thresholds, blocked)
        else:
            assert found is not None
            counts = Account(**found["counts"])
        if not dead:
            tidy(root)
        record.details |= {"account": dataclasses.asdict(counts), "published": published}
        record.write(root)  # the report reads it
        if published or not (root / REPORT).is_file():
            write_report(root)
    worked_on = sum(not report.kept for report in reports)
    return BuildSummary(out, counts, published, worked_on, time.monotonic() - started, published_seconds(root), seconds)


@contextlib.contextmanager
def _recorded(root: Path, manifest: Path, settings: dict[str, Any], engine: Engine) -> Iterator[RunRecord]:
    """Write the run's record before the work, and complete it with how the work ended."""
    _remove_half_written(root)  # by a run that was killed
    record = RunRecord.start(sys.argv, {**settings, "engine": dataclasses.asdict(engine)})
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
        _remove_half_written(root)  # by workers that were ended
        record.finish(root, outcome)


def _remove_half_written(root: Path) -> None:
    for left in (root / "work").rglob(".tmp-*"):
        left.unlink(missing_ok=True)


def _run(
    chains: Sequence[Chain], pending: Sequence[Chain], engine: Engine, progress: Progress
) -> tuple[list[ShardReport], list[Chain]]:
    """Run the chains that are not complete, without starting a process when all are."""
    kept = len(chains) - len(pending)
    progress(kept, len(chains), "kept")
    if not pending:
        return [], []
    return engine.run(pending, lambda done, _, what: progress(kept + done, len(chains), what))
