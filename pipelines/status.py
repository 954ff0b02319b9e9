"""What a build has done, is doing and has yet to do, read from its files while it runs or after it stopped."""

import collections
import contextlib
import dataclasses
import datetime
import fcntl
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from chdtf.engine.journal import count_entries
from chdtf.engine.plan import PlannedShard, read_planned
from chdtf.engine.shards import read_shard, shard_metadata
from chdtf.engine.stage import RUNNING
from chdtf.engine.watch import Item, read_marker
from pipelines.account import reason_of


@dataclasses.dataclass(frozen=True)
class StageStatus:
    """How far one stage is: rows that it finished, and shards that are complete."""

    name: str
    rows: int
    shards: int


@dataclasses.dataclass(frozen=True)
class Status:
    """A build at one moment."""

    root: Path
    is_running: bool
    outcome: str  # of the last run: running, done, failed, interrupted, killed
    videos: int
    videos_done: int
    shards: int
    stages: tuple[StageStatus, ...]
    running: tuple[tuple[str, Item, float], ...]  # shard, item, seconds that it has taken
    failures: Mapping[str, int]  # rows in error in complete shards, by the first word
    rejects: Mapping[str, int]
    remaining_s: float | None  # estimate; None when nothing can be said

    def text(self) -> str:
        """For a person, some lines."""
        state = "running" if self.is_running else f"not running; the last run: {self.outcome}"
        share = self.videos_done / self.videos if self.videos else 1.0
        lines = [f"{self.root}: {state}", f"videos: {self.videos_done} of {self.videos} done ({share:.0%})"]
        if self.remaining_s is not None:
            finish = datetime.datetime.now() + datetime.timedelta(seconds=self.remaining_s)
            lines.append(f"remaining: about {duration(self.remaining_s)}, until {finish:%Y-%m-%d %H:%M}")
        lines += ["", f"{'stage':<12}{'rows':>9}{'shards':>14}"]
        lines += [f"{stage.name:<12}{stage.rows:>9}{f'{stage.shards} of {self.shards}':>14}" for stage in self.stages]
        if self.running:
            lines += ["", "at work:"]
        for shard, item, taken_s in sorted(self.running, key=lambda one: -one[2]):
            late = "  STUCK? " if taken_s > item.timeout_s / 2 else ""
            lines.append(
                f"  {item.stage:<10} {item.clip_id}  for {duration(taken_s)}, ended after "
                f"{duration(item.timeout_s)}  ({shard}){late}"
            )
        for title, counts in (("failed, tried again by the next run:", self.failures), ("rejected:", self.rejects)):
            if counts:
                lines += ["", title, *(f"  {word:<24}{number:>6}" for word, number in sorted(counts.items()))]
        if not self.is_running and self.videos_done < self.videos:
            lines += ["", "run the same build command again to continue"]
        return "\n".join(lines)


def duration(seconds: float) -> str:
    """A time for a person: in seconds, minutes, or hours."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02d} min"


def _steps(root: Path) -> list[Path]:
    """Folders of the stages, in order."""
    return sorted(path for path in (root / "work").glob("[0-9][0-9]_*") if path.is_dir() and path.name[:2] != "00")


def _rows_done(step: Path, shards: Sequence[PlannedShard]) -> tuple[int, int]:
    """(rows that a stage has finished, shards that are complete)."""
    rows = complete = 0
    for shard in shards:
        name = f"shard-{shard.index:05d}"
        target = step / f"{name}.parquet"
        entries = _entries(step, name)
        if entries is not None:  # being made, or made again
            rows += entries
        elif target.exists():
            shard_metadata(target)  # says what is wrong with it, if anything is
            rows += pq.read_metadata(target).num_rows
            complete += 1
    return rows, complete


def _entries(step: Path, name: str) -> int | None:
    """Entries of a shard's journal, None when there is none; it may go at any moment, since its shard is complete."""
    counts = []
    for journal in step.glob(f"{name}.*.journal"):
        with contextlib.suppress(FileNotFoundError):
            counts.append(count_entries(journal))
    return max(counts, default=None)


def videos_done(root: Path, shards: Sequence[PlannedShard], record: Mapping[str, Any] | None = None) -> int:
    """Videos that have gone through all stages, by the files and by the record of the run that is or was at work.

    The record tells which shards it found stale: their old files are there and do not count. Rows go depth first, so
    that the first journal of a shard tells how much of it is done.
    """
    details = (record or {}).get("details", {})
    stale = details.get("stale")
    since = datetime.datetime.fromisoformat(record["started"]).timestamp() if record and stale is not None else 0.0
    steps = _steps(root)
    return int(1e-6 + sum(shard.num_videos * _share_done(steps, shard, stale, since) for shard in shards))


def _share_done(steps: Sequence[Path], shard: PlannedShard, stale: Sequence[int] | None, since: float) -> float:
    """How much of a shard is done, 0 to 1."""
    if stale is not None and shard.index not in stale:
        return 1.0
    name = f"shard-{shard.index:05d}"
    for number, step in enumerate(steps):
        if (entries := _entries(step, name)) is not None:
            given = pq.read_metadata(steps[number - 1] / f"{name}.parquet").num_rows if number else shard.num_videos
            return min(1.0, entries / max(given, 1))
    try:
        return float(bool(steps) and (steps[-1] / f"{name}.parquet").stat().st_mtime >= since)
    except FileNotFoundError:
        return 0.0


def _is_held(root: Path) -> bool:
    """Whether a build or publication is at work in the folder."""
    path = root / "work" / ".lock"
    if not path.exists():
        return False
    with path.open("r") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _last_run(root: Path) -> dict[str, Any]:
    for path in sorted((root / "runs").glob("*.json"), reverse=True):
        try:
            record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            continue
        return record
    return {}


def _outcomes(step: Path | None, shards: Sequence[PlannedShard]) -> tuple[dict[str, int], dict[str, int]]:
    """Rows in error and rejected rows of the complete shards of a stage, by the first word."""
    failures: collections.Counter[str] = collections.Counter()
    rejects: collections.Counter[str] = collections.Counter()
    for shard in shards if step is not None else ():
        assert step is not None
        path = step / f"shard-{shard.index:05d}.parquet"
        if path.exists():
            table = read_shard(path, ["error", "reject"])
            failures.update(reason_of(words) for words in table.column("error").drop_null().to_pylist())
            rejects.update(reason_of(words) for words in table.column("reject").drop_null().to_pylist())
    return dict(failures), dict(rejects)


def status(root: Path) -> Status:
    """Read how far the build in `root` is. Raises `UserError` when none has begun there."""
    shards = read_planned(root)
    steps = _steps(root)
    record = _last_run(root)
    is_running = _is_held(root)
    outcome = record.get("outcome", "unknown")
    now = time.time()
    running = []
    for marker in sorted((root / RUNNING).glob("*.json")) if is_running else []:
        state = read_marker(marker)
        if state and state["item"]:
            item = Item(**state["item"])
            running.append((marker.stem, item, max(0.0, now - item.since)))
    failures, rejects = _outcomes(steps[-1] if steps else None, shards)
    videos = sum(shard.num_videos for shard in shards)
    done = videos_done(root, shards, record)
    return Status(
        root=root,
        is_running=is_running,
        outcome="killed" if outcome == "running" and not is_running else outcome,
        videos=videos,
        videos_done=done,
        shards=len(shards),
        stages=tuple(StageStatus(step.name[3:], *_rows_done(step, shards)) for step in steps),
        running=tuple(running),
        failures=failures,
        rejects=rejects,
        remaining_s=_remaining_s(record, done, videos, now) if is_running else None,
    )


def _remaining_s(record: Mapping[str, Any], done: int, videos: int, now: float) -> float | None:
    """At the speed of this run so far."""
    before = record.get("details", {}).get("videos_done_before")
    if before is None or done <= before:
        return None
    elapsed: float = now - datetime.datetime.fromisoformat(record["started"]).timestamp()
    return elapsed / float(done - before) * (videos - done)
