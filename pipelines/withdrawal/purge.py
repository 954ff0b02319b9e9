"""Purge: remove all that derives from one source, and say what was removed, with its hashes.

Inputs of the user are never deleted: of a local file only the workspace's own link or copy goes. The source is entered
into the dataset's own list of tombstones first, so that no later build brings it back, whatever happens in between.
"""

import dataclasses
import datetime
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from chdtf import tombstones
from chdtf.clip import read_description
from chdtf.errors import UserError
from chdtf.files import sha256_file, write_text
from pipelines.exclusive import exclusive
from pipelines.publication.origin import ORIGIN, keep_origin, read_origin
from pipelines.publication.republish import republish
from pipelines.withdrawal.find import Doomed, find_doomed, shard_files
from pipelines.withdrawal.results import doomed_files, score_rows
from pipelines.withdrawal.shards import drop_from_plan, drop_rows, planned_shards
from pipelines.withdrawal.tables import published_counts, rewrite_published

_OF_VIDEOS = "download"  # the stage whose files are named by video; those of all others by clip
_TOO_MANY = 8  # files named in the text


@dataclasses.dataclass(frozen=True)
class RemovedFile:
    """A file that goes: its path as the record names it, its size and the hash of its content."""

    path: str
    bytes: int
    sha256: str


@dataclasses.dataclass(frozen=True)
class Purge:
    """What was removed, or would be."""

    root: Path
    doomed: Doomed
    files: tuple[RemovedFile, ...]
    rows: dict[str, int]  # rows that go, by shard or table
    before: str | None  # fingerprint of the publication
    applied: bool
    after: str | None = None
    record: Path | None = None  # where it is written; None: a dry run

    def text(self) -> str:
        """The account for a person."""
        if not self.doomed:
            more = f"; {self.root / tombstones.FILE} keeps it out from now on" if self.applied else ""
            return f"{self.root}: holds nothing of {self._names()}{more}"
        verb = "removed" if self.record else "would be removed"
        # a clip made again from a lock has the id of its manifest row
        clips = len(self.doomed.clip_ids - self.doomed.video_ids) or len(self.doomed.clip_ids)
        size, count = sum(file.bytes for file in self.files) / 1e6, sum(self.rows.values())
        lines = [
            f"{len(self.doomed.video_ids)} videos, {clips} clips, known as {self._names()}",
            f"{verb}: {len(self.files)} files ({size:.1f} MB), {count} rows of {len(self.rows)} tables",
        ]
        lines += [f"  {file.path} ({file.bytes} bytes)" for file in self.files[:_TOO_MANY]]
        lines += [f"  and {len(self.files) - _TOO_MANY} more"] if len(self.files) > _TOO_MANY else []
        lines += [f"  {count} rows of {name}" for name, count in self.rows.items()]
        if self.record is None:
            return "\n".join([*lines, "nothing was changed; do it with --apply"])
        return "\n".join([*lines, f"kept out by {self.root / tombstones.FILE}", f"record: {self.record}"])

    def _names(self) -> str:
        return ", ".join(entry.source_id or entry.sha256[:12] for entry in self.doomed.tombstones)


def purge(root: Path, name: str, apply: bool = False, results: Sequence[Path] = (), reason: str = "") -> Purge:
    """Remove from the dataset `root`, and from benchmark `results`, all that derives from a source.

    `name` is its site id, address, `video_id` or SHA-256. Without `apply` nothing changes. Raises `UserError` when
    there is no dataset, or another process is at work in it.
    """
    root = root.absolute()
    for folder in results:
        if not folder.is_dir():
            raise UserError(f"{folder}: no such folder of results")
    doomed = find_doomed(root, name, reason)
    found = read_description(root)
    before = found["fingerprint"] if found else None
    with exclusive(root):
        files = _doomed_files(root, doomed, results) if doomed else []
        described = tuple(_described(path, root) for path in files)
        if apply:
            tombstones.append(root / tombstones.FILE, doomed.tombstones)
            for path in files:
                path.unlink(missing_ok=True)
            _remove_partial(root, doomed)
        rows = dict(_drop(root, doomed, results, apply)) if doomed else {}
    if not (apply and doomed):
        return Purge(root, doomed, described, rows, before, apply)
    if found is not None:
        _publish_anew(root, doomed)
    after = read_description(root)
    done = Purge(root, doomed, described, rows, before, apply, after["fingerprint"] if after else None)
    return dataclasses.replace(done, record=_write_record(done, name))


def _described(path: Path, root: Path) -> RemovedFile:
    shown = path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
    return RemovedFile(shown, path.stat().st_size, sha256_file(path))


def _doomed_files(root: Path, doomed: Doomed, results: Sequence[Path]) -> list[Path]:
    """Media, partial downloads, cached features, journals of unfinished shards, and files of results."""
    media = root / "work" / "media"
    named = [root / name for name in doomed.files if ".." not in Path(name).parts]  # of a dataset that others made
    files = [path for path in named if path.is_relative_to(media) and path.is_file()]
    for folder, _, names in os.walk(media):
        stage, *inside = Path(folder).relative_to(media).parts or ("",)
        of_video = stage == _OF_VIDEOS
        is_inside = any(doomed.is_named(part, of_video) for part in inside)
        files += [Path(folder) / name for name in names if is_inside or doomed.is_named(name, of_video)]
    for index in planned_shards(root, doomed.holds):
        # a journal tells its rows to its own stage only; what was unfinished in these shards is done again
        files += (root / "work").rglob(f"shard-{index:05d}.*journal")
        files += (root / "work" / "running").glob(f"shard-{index:05d}.json")
    for path in (root / "features").glob("*/*.parquet"):  # whole files: `disentbench features` makes them again
        if doomed.clip_ids & set(pq.read_table(path, columns=["clip_id"]).column(0).to_pylist()):
            files.append(path)
    return sorted(set(files)) + [path.absolute() for folder in results for path in doomed_files(folder, doomed)]


def _remove_partial(root: Path, doomed: Doomed) -> None:
    """Folders of partial downloads; their files are gone by now."""
    for folder in (root / "work" / "media").glob("*/*"):
        if folder.is_dir() and doomed.is_named(folder.name, folder.parent.name == _OF_VIDEOS):
            shutil.rmtree(folder)
    for left in (root / "work").rglob(".tmp-*"):  # what a killed build left half-written, of whatever clip
        left.unlink(missing_ok=True)


def _drop(root: Path, doomed: Doomed, results: Sequence[Path], apply: bool) -> Iterator[tuple[str, int]]:
    """Drop the rows of shards, plan and scores, and keep note of what the publication was made from."""
    try:
        origin = read_origin(root)
    except UserError:
        origin = None
    for path in shard_files(root / "work"):
        if count := drop_rows(path, doomed.holds, apply):
            yield path.relative_to(root).as_posix(), count
    if count := drop_from_plan(root, doomed.holds, apply):
        yield "work/plan.parquet", count
    if apply and origin is not None:
        lost = [row for row in origin.lost if not doomed.holds(row)]
        keep_origin(root, [path for path in origin.shards if path.exists()], lost, origin.schema)
    yield from published_counts(root, doomed)  # written anew afterwards
    for folder in results:
        for path, count in score_rows(folder, doomed, apply):
            yield str(path), count


def _publish_anew(root: Path, doomed: Doomed) -> None:
    """Publish from what is left; in place where the working files do not suffice for it."""
    try:
        if not (root / ORIGIN).is_file():
            raise UserError("no working files")
        republish(root, {})
    except UserError:
        rewrite_published(root, doomed)


def _write_record(done: Purge, name: str) -> Path:
    """`purge-<time>.json` in the dataset's folder."""
    now = datetime.datetime.now(datetime.timezone.utc)
    record: dict[str, Any] = {
        "asked_for": name,
        "when": now.isoformat(timespec="seconds"),
        "videos": sorted(done.doomed.video_ids),
        "clips": sorted(done.doomed.clip_ids),
        "tombstones": [dataclasses.asdict(entry) for entry in done.doomed.tombstones],
        "files": [dataclasses.asdict(file) for file in done.files],
        "rows": done.rows,
        "fingerprint_before": done.before,
        "fingerprint_after": done.after,
    }
    path = done.root / f"purge-{now:%Y%m%dT%H%M%S%f}.json"
    write_text(path, json.dumps(record, indent=2, ensure_ascii=False) + "\n")
    return path
