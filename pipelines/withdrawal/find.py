"""What in a dataset derives from one source: its videos, their clips, and the tombstones that stand for it."""

import collections
import dataclasses
import datetime
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from chdtf.columns import Row
from chdtf.engine.plan import PLAN
from chdtf.errors import UserError
from chdtf.site_id import named_site_id, site_id, site_id_of_clip
from chdtf.tombstones import Tombstone, Tombstones
from pipelines.stages.download import source_name

_COLUMNS = ("video_id", "clip_id", "url", "site_id", "source_sha256", "sha256", "video_sha256", "audio_sha256")
_FILES = ("source", "video", "audio")  # columns that name a file of work/
_BATCH_ROWS = 10_000


@dataclasses.dataclass(frozen=True)
class Doomed:
    """What is to go: ids of manifest rows and clips, and how their source is named in a list of tombstones."""

    video_ids: frozenset[str]
    clip_ids: frozenset[str]
    tombstones: tuple[Tombstone, ...]
    files: frozenset[str]  # that its rows name, and no other row; relative to the dataset
    sources: frozenset[str] = frozenset()  # how the files of its downloads begin

    def __bool__(self) -> bool:
        return bool(self.video_ids)

    def is_named(self, file_name: str, of_video: bool) -> bool:
        """Whether a file belongs to a doomed video, or clip: its name up to the first dot is the id."""
        stem = file_name.partition(".")[0]
        if of_video:
            return stem in self.video_ids or stem in self.sources
        # the number: also a clip that an earlier setting cut, and no row names any more
        video_id, _, number = stem.rpartition("_")
        return stem in self.clip_ids or (video_id in self.video_ids and bool(re.fullmatch("[0-9]{3,}", number)))

    def holds(self, row: Mapping[str, Any]) -> bool:
        """Whether a row of one of the dataset's tables is to go; some tables have clip ids only."""
        return row["video_id"] in self.video_ids if "video_id" in row else row["clip_id"] in self.clip_ids


def shard_files(folder: Path) -> list[Path]:
    """All shards below a folder, of whatever stage, current or left by earlier settings."""
    return sorted(folder.rglob("shard-*.parquet"))


def find_doomed(root: Path, name: str, reason: str = "") -> Doomed:
    """All that a dataset's tables and shards hold of the source that `name` means.

    `name` is a site id, an address, a `video_id` or a SHA-256. Rows of the same source under another `video_id` belong
    to it. Raises `UserError` for a folder without a dataset.
    """
    if not (root / "work").is_dir() and not (root / "dataset.json").is_file():
        raise UserError(f"{root}: holds no dataset; give the folder that disentbench build wrote")
    asked = Tombstones.of(name)
    keys: dict[str, set[str]] = collections.defaultdict(set)  # what a video's source is known by
    clips: dict[str, set[str]] = collections.defaultdict(set)
    files: dict[str, set[str]] = collections.defaultdict(set)  # file -> videos that name it
    sources: dict[str, set[str]] = collections.defaultdict(set)
    found: set[str] = set()
    for row in _identities(root):
        video_id = row["video_id"]
        if row.get("url"):
            sources[video_id].add(source_name(row))
        keys[video_id] |= _keys(row)
        clips[video_id].add(row["clip_id"] or video_id)
        for path in (row.get(column) for column in _FILES):
            if isinstance(path, str):
                files[path].add(video_id)
        if asked.blocks(row):
            found.add(video_id)
    known = set().union(*(keys[video_id] for video_id in found))
    while more := {video_id for video_id, own in keys.items() if video_id not in found and not known.isdisjoint(own)}:
        found |= more
        known |= set().union(*(keys[video_id] for video_id in more))
    return Doomed(
        frozenset(found),
        frozenset(clip for video_id in found for clip in clips[video_id]),
        tuple(_tombstones(name, found, known, reason)),
        frozenset(path for path, videos in files.items() if videos <= found),
        frozenset(name for video_id in found for name in sources[video_id]),
    )


def _keys(row: Row) -> set[str]:
    """What a row says of its source: site id, hash, and the address where neither tells."""
    url = row.get("url") or ""
    named = {site_id(url) or url, named_site_id(row.get("site_id") or "") or row.get("site_id") or ""}
    more = site_id_of_clip(row["video_id"]), row.get("source_sha256"), row.get("sha256")
    return {key for key in (*named, *more) if key}


def _tombstones(name: str, video_ids: set[str], keys: set[str], reason: str) -> Iterator[Tombstone]:
    """Entries by which the source stays out: by every id and every hash that it has, and by what was asked for."""
    today = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    hashes = sorted(key for key in keys if re.fullmatch("[0-9a-f]{64}", key))
    names = sorted(key for key in keys if named_site_id(key) or key.startswith(("http:", "https:")))
    asked = Tombstones.of(name).entries[0]
    entries = [asked, *(Tombstone(source_id=one) for one in names or sorted(video_ids))]
    entries += [Tombstone(sha256=digest) for digest in hashes]
    seen: set[tuple[str, str]] = set()
    for entry in entries:
        key = named_site_id(entry.source_id) or entry.source_id, entry.sha256
        if key not in seen:
            seen.add(key)
            yield dataclasses.replace(entry, source_id=key[0], date=today, reason=reason)


def _identities(root: Path) -> Iterator[Row]:
    """The columns that say what each row of the dataset is of."""
    tables = [root / PLAN, *shard_files(root / "work"), *sorted((root / "meta").glob("*.parquet"))]
    for path in [*tables, root / "rejected.parquet"]:
        if path.is_file():
            yield from _identity_rows(path)


def _identity_rows(path: Path) -> Iterator[Row]:
    try:
        with pq.ParquetFile(path) as file:
            names = [name for name in file.schema_arrow.names if name in (*_COLUMNS, *_FILES)]
            if "video_id" not in names:
                return
            for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=names):
                yield from ({"clip_id": None, **row} for row in batch.to_pylist())
    except (pa.ArrowException, OSError) as error:
        why = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"{path}: not readable ({why}); delete it and run the same command again") from error
