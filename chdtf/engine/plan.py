"""The plan: a manifest cut into shards, in one file, so that a million rows are planned without a million files.

A video stays in its shard when rows are added to the manifest or its order changes; new ones fill up the last shard
and open others. A shard's own file is written by the worker that begins it.
"""

import dataclasses
import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from chdtf.engine.shards import content_hash, write_shard
from chdtf.engine.stage import extended_schema
from chdtf.errors import UserError
from chdtf.files import atomic_path
from chdtf.schema import MANIFEST, OUTCOME, SCHEMA_VERSION, check_version

PLAN = Path("work", "plan.parquet")
# of a lock's rows: one clip exactly as it is, the region of the source that it was taken from, and the source's site id
LOCKED = pa.schema([("roi", pa.list_(pa.float64())), ("is_exact", pa.bool_()), ("site_id", pa.string())])
_STATE = pa.field("file_state", pa.string())  # of a local file: `chdtf.folder.with_file_states`
INPUT = extended_schema(pa.schema([*MANIFEST, *LOCKED, _STATE]), OUTCOME)  # of the shards that the first stage reads
_TABLE = INPUT.append(pa.field("shard", pa.int32(), nullable=False))

_UNREADABLE = (pa.ArrowException, OSError, ValueError, KeyError, TypeError)
_VIDEOS = 4  # in a shard, as long as there are no more shards than
_SHARDS = 4096
_MOST_VIDEOS = 256


@dataclasses.dataclass(frozen=True)
class PlannedShard:
    """One shard of the plan: its number, and the hash of its rows."""

    index: int
    content: str
    num_videos: int


def videos_per_shard(num_videos: int) -> int:
    """How many videos a new shard takes: few, so that work spreads; more when there would be too many files."""
    return min(max(_VIDEOS, -(-num_videos // _SHARDS)), _MOST_VIDEOS)


def input_rows(manifest: pa.Table) -> pa.Table:
    """The manifest's rows as the first stage reads them: one clip a video so far, no outcome yet."""
    columns = [
        manifest.column("video_id" if name == "clip_id" else name)
        if name == "clip_id" or name in manifest.column_names
        else pa.nulls(manifest.num_rows, INPUT.field(name).type)
        for name in INPUT.names
    ]
    return pa.Table.from_arrays(columns, schema=INPUT)


def make_plan(root: Path, manifest: pa.Table, size: int | None = None) -> list[PlannedShard]:
    """Cut a manifest's table into shards of about `size` videos, and write `work/plan.parquet` below `root`.

    What an earlier plan there says of a video stands. Returns the shards that hold any video, in order.
    """
    before = _read(root)
    size = size or videos_per_shard(manifest.num_rows)
    shards = _assigned(manifest.column("video_id"), before, size)
    order = np.argsort(shards, kind="stable")
    rows = input_rows(manifest)
    if not np.array_equal(order, np.arange(len(order))):  # a copy of a long manifest is worth sparing
        rows = rows.take(pa.array(order))
    borders = [0, *(np.flatnonzero(np.diff(shards[order])) + 1).tolist(), len(order)]
    parts = [rows.slice(begin, end - begin) for begin, end in itertools.pairwise(borders)]
    numbers = [int(shards[order[begin]]) for begin in borders[:-1]]
    planned = [
        PlannedShard(number, content_hash(part), part.num_rows) for number, part in zip(numbers, parts, strict=True)
    ]
    described = json.dumps([dataclasses.asdict(shard) for shard in planned])
    if before is None or before[1] != planned:
        metadata = {"schema_version": str(SCHEMA_VERSION), "shards": described}
        schema = _TABLE.with_metadata(metadata)
        with atomic_path(root / PLAN) as temporary, pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
            for number, part in zip(numbers, parts, strict=True):
                numbered = part.append_column(_TABLE.field("shard"), pa.array([number] * part.num_rows, pa.int32()))
                writer.write_table(numbered.replace_schema_metadata(metadata), row_group_size=part.num_rows)
    return planned


def _assigned(video_ids: pa.ChunkedArray, before: tuple[pa.Table, list[PlannedShard]] | None, size: int) -> np.ndarray:
    """Number of the shard of each video, int64 (rows,)."""
    shards = np.full(len(video_ids), -1, np.int64)
    last, room = -1, 0
    if before is not None and before[1]:
        table, planned = before
        found = pc.index_in(video_ids, table.column("video_id").combine_chunks())
        known = found.is_valid().to_numpy(zero_copy_only=False)
        places = found.drop_null().to_numpy()
        shards[known] = table.column("shard").to_numpy()[places]
        last = planned[-1].index
        room = max(0, size - int(np.sum(shards == last)))
    new = np.flatnonzero(shards < 0)
    shards[new[:room]] = last
    rest = new[room:]
    shards[rest] = last + 1 + np.arange(len(rest)) // size
    return shards


def _read(root: Path) -> tuple[pa.Table, list[PlannedShard]] | None:
    path = root / PLAN
    if not path.is_file():
        return None
    planned = read_planned(root)
    try:
        return pq.read_table(path, columns=["video_id", "shard"]), planned
    except _UNREADABLE as error:
        raise _unreadable(path) from error


def _unreadable(path: Path) -> UserError:
    return UserError(f"{path}: not a readable plan; rm {path} and run the same command again")


def read_planned(root: Path) -> list[PlannedShard]:
    """The shards of the plan below `root`. Raises `UserError` when there is none that can be read by this version."""
    path = root / PLAN
    if not path.is_file():
        raise UserError(f"{root}: no build has begun there; build one with: make chdtf OUT={root}")
    try:
        metadata = pq.read_schema(path).metadata or {}
        check_version(metadata.get(b"schema_version", b"unknown").decode(), path, f"rm -r {root / 'work'}")
        return [PlannedShard(**shard) for shard in json.loads(metadata[b"shards"])]
    except _UNREADABLE as error:
        raise _unreadable(path) from error


def _group(root: Path, index: int) -> pa.Table:
    numbers = [shard.index for shard in read_planned(root)]
    with pq.ParquetFile(root / PLAN) as file:
        return file.read_row_group(numbers.index(index), columns=INPUT.names)


def write_input(root: Path, index: int, content: str, path: Path) -> None:
    """Write the shard that a chain begins with, from the plan."""
    rows = _group(root, index).replace_schema_metadata(None).cast(INPUT)
    write_shard(rows, path, "plan", {"content": content})


def planned_rows(root: Path, index: int) -> Iterator[dict[str, object]]:
    """Rows of a shard as the plan has them."""
    yield from _group(root, index).to_pylist()
