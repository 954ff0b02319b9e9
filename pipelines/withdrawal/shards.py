"""Takes rows out of shards, and leaves them such that the next build keeps what it knows of all other rows."""

import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from chdtf.columns import Row
from chdtf.engine.plan import INPUT, PLAN, read_planned
from chdtf.engine.shards import ShardRows, content_hash, content_of_rows, shard_metadata, write_tables
from chdtf.files import atomic_path

PURGED = "purged"  # in place of a fingerprint: the next build puts the shard together anew, of the rows that it knows
_NAMES = ("video_id", "clip_id")


def drop_rows(path: Path, is_dropped: Callable[[Row], bool], apply: bool = True) -> int:
    """Rewrite a shard without some rows, whole or not at all; returns how many went (0: the file was left alone).

    Only `video_id` and `clip_id` are shown to `is_dropped`. A shard that is left empty is deleted. Without `apply` the
    rows are counted and stay.
    """
    with ShardRows(path, _NAMES) as ids:
        kept = [number for number in range(len(ids)) if not is_dropped(ids.row(number))]
        count = len(ids)
    if len(kept) == count or not apply:
        return count - len(kept)
    if not kept:
        path.unlink()
        return count
    metadata = shard_metadata(path)
    with ShardRows(path) as shard:
        schema = pq.read_schema(path).remove_metadata()
        if "inputs" in metadata:
            _renumber(metadata, set(kept))
        else:
            metadata["content"] = content_hash(
                pa.concat_tables(list(_tables(shard, kept))).replace_schema_metadata(None)
            )
        write_tables(_tables(shard, kept), schema, path, metadata)
    return count - len(kept)


def _tables(shard: ShardRows, numbers: list[int]) -> Iterator[pa.Table]:
    for number in numbers:
        yield from shard.tables(number, 1)


def _renumber(metadata: dict[str, str], kept: set[int]) -> None:
    """Make the hashes of rows and inputs those of the rows that stay."""
    rows = json.loads(metadata["rows"])
    blocked = dict(json.loads(metadata.get("blocked", "[]")))
    inputs: list[Any] = []
    still_blocked: list[list[Any]] = []
    first = 0
    for number, (key, size, is_error) in enumerate(json.loads(metadata["inputs"])):
        stays = sum(place in kept for place in range(first, first + size))
        first += size
        if stays == size:  # all rows of an input are of one video
            if number in blocked:
                still_blocked.append([len(inputs), blocked[number]])
            inputs.append([key, size, is_error])
    left = [row for place, row in enumerate(rows) if place in kept]
    metadata |= {
        "fingerprint": PURGED,
        "content": content_of_rows(left),
        "rows": json.dumps(left),
        "inputs": json.dumps(inputs),
        "blocked": json.dumps(still_blocked),
    }


def drop_from_plan(root: Path, is_dropped: Callable[[Row], bool], apply: bool = True) -> int:
    """Take videos out of `work/plan.parquet`; the others keep their shards. Returns how many went."""
    path = root / PLAN
    if not path.is_file():
        return 0
    planned = read_planned(root)
    parts: list[tuple[Any, pa.Table]] = []
    dropped = 0
    with pq.ParquetFile(path) as file:
        schema = file.schema_arrow
        for group, shard in enumerate(planned):
            table = file.read_row_group(group)
            keep = [not is_dropped(row) for row in table.select(_NAMES).to_pylist()]
            dropped += keep.count(False)
            left = table.filter(pa.array(keep, pa.bool_()))
            if left.num_rows:
                content = content_hash(left.select(INPUT.names).replace_schema_metadata(None).cast(INPUT))
                parts.append((dataclasses.replace(shard, content=content, num_videos=left.num_rows), left))
    if not dropped or not apply:
        return dropped
    if not parts:
        path.unlink()
        return dropped
    described = json.dumps([dataclasses.asdict(shard) for shard, _ in parts])
    metadata = {**(schema.metadata or {}), b"shards": described.encode()}
    tagged = schema.with_metadata(metadata)
    with atomic_path(path) as temporary, pq.ParquetWriter(temporary, tagged, compression="zstd") as writer:
        for _, table in parts:
            writer.write_table(table.replace_schema_metadata(metadata), row_group_size=table.num_rows)
    return dropped


def planned_shards(root: Path, is_dropped: Callable[[Row], bool]) -> list[int]:
    """Numbers of the plan's shards that hold a doomed video."""
    if not (root / PLAN).is_file():
        return []
    with pq.ParquetFile(root / PLAN) as file:
        return [
            shard.index
            for group, shard in enumerate(read_planned(root))
            if any(is_dropped(row) for row in file.read_row_group(group, list(_NAMES)).to_pylist())
        ]
