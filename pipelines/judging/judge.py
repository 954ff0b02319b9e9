"""Judge: which finished clips are published. Scalars only are held, as Arrow columns, so that many clips fit."""

import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from chdtf.columns import Row, rows_from_table, table_from_rows
from chdtf.engine.shards import iter_rows, read_shard
from chdtf.files import sha256_file
from chdtf.schema import OUTCOME
from chdtf.tombstones import WORD, Tombstones
from pipelines.judging import compare
from pipelines.judging.thresholds import Thresholds
from pipelines.publication.tables import COMPARED, PATHS, is_scalar, scalar_schema

CHUNK = 1000  # rows that are Python objects at a time


def scalar_rows(path: Path) -> list[Row]:
    """Rows of a finished shard without their arrays."""
    return rows_from_table(_scalars(path))


def _scalars(path: Path) -> pa.Table:
    return read_shard(path, [field.name for field in pq.read_schema(path) if is_scalar(field)])


def outcome_schema(schema: pa.Schema) -> pa.Schema:
    """Columns of `judge`: those of meta that the stages made, files of work/, `error` and `reject`."""
    paths = [pa.field(name, pa.string()) for name in PATHS]
    outcome = [field for field in OUTCOME if field.name != "clip_id"]
    scalars = scalar_schema(schema)
    counted = [] if "num_frames" in scalars.names else [pa.field("num_frames", pa.int32())]
    return pa.schema([*scalars, *counted, *paths, *outcome])


def rows_of(table: pa.Table) -> Iterator[Row]:
    """Rows one after another, some `CHUNK` of them in memory."""
    for start in range(0, table.num_rows, CHUNK):
        yield from rows_from_table(table.slice(start, CHUNK))


def finished(shards: Sequence[Path], lost: Sequence[Row], schema: pa.Schema) -> pa.Table:
    """All rows of a build without arrays: `lost` ones first, then shard by shard. Raises as `read_shard` does."""
    wanted = outcome_schema(schema)
    tables = [table_from_rows([{name: row.get(name) for name in wanted.names} for row in lost], wanted)]
    for path in shards:
        found = _scalars(path)
        columns = [
            found.column(field.name).cast(field.type)
            if field.name in found.column_names
            else pa.nulls(found.num_rows, field.type)
            for field in wanted
        ]
        tables.append(pa.Table.from_arrays(columns, schema=wanted))
    return pa.concat_tables(tables).combine_chunks()


def judge(
    root: Path, rows: pa.Table, shards: Sequence[Path], thresholds: Thresholds | None, tombstones: Tombstones | None
) -> pa.Table:
    """The rows with `reject` filled in where a tombstone or a threshold speaks against one, else as they are.

    `rows` are those of `finished`; their files lie below `root`. Clips that pass are compared with each other
    (`COMPARED`) and then judged by that, too, so that none is dropped as the copy of one that is refused. Of a row that
    a tombstone stands for nothing is kept but its ids: records derived of a withdrawn source go with it.
    """
    # a list that only the build was given marked its rows
    is_marked = pc.any(pc.starts_with(rows["reject"], f"{WORD}:"), min_count=0).as_py()
    if is_marked or (tombstones is not None and tombstones.entries):
        rows = _changed(rows, functools.partial(_withdrawn, root=root, tombstones=tombstones or Tombstones()))
    if thresholds is not None:
        rows = _changed(rows, functools.partial(_judged, thresholds=thresholds))
    rows = _compared(rows, shards)
    if thresholds is not None:
        rows = _changed(rows, functools.partial(_judged, thresholds=thresholds))
    return rows


def _compared(rows: pa.Table, shards: Sequence[Path]) -> pa.Table:
    """The rows with `speaker_similarity` and `duplicate_of` where they are accepted so far."""
    stands = pc.and_(pc.is_null(rows["error"]), pc.is_null(rows["reject"])).to_numpy()
    found = compare.compare(_embedded(shards, stands[rows.num_rows - sum(map(num_rows, shards)) :]))
    assert found["clip_id"].to_pylist() == rows.filter(pa.array(stands))["clip_id"].to_pylist()
    places = pa.array(np.where(stands, np.cumsum(stands) - 1, -1))
    places = pc.if_else(pa.array(stands), places, None)
    for field in COMPARED:
        number = rows.schema.get_field_index(field.name)
        rows = rows.set_column(number, rows.schema.field(number), found[field.name].combine_chunks().take(places))
    return rows


def _embedded(shards: Sequence[Path], stands: np.ndarray) -> Iterator[Row]:
    """Of the shards' rows those that stand, with what clips are compared by."""
    number = 0
    for path in shards:
        count = num_rows(path)
        wanted = stands[number : number + count]
        number += count
        if wanted.any():
            names = set(pq.read_schema(path).names)
            rows = iter_rows(path, [name for name in compare.COMPARED if name in names])
            yield from itertools.compress(rows, wanted)


def num_rows(path: Path) -> int:
    """Number of rows of a Parquet file."""
    count: int = pq.read_metadata(path).num_rows
    return count


def _withdrawn(row: Row, root: Path, tombstones: Tombstones) -> Row:
    marked = row["reject"] if (row["reject"] or "").startswith(f"{WORD}:") else None
    words = tombstones.blocks(row) or marked
    if words is None and tombstones.has_hashes and not (row["error"] or row["reject"]):
        words = tombstones.blocks(_hashes(row, root))
    kept = {name: row[name] for name in ("clip_id", "video_id", "split")}
    return row if words is None else {**dict.fromkeys(row), **kept, "reject": words}


def _hashes(row: Row, root: Path) -> Row:
    """Hashes of a clip's own files, as its published row will have them."""
    files = {f"{name}_sha256": root / row[name] for name in ("video", "audio") if row[name]}
    return {column: sha256_file(path) for column, path in files.items() if path.is_file()}


def _judged(row: Row, thresholds: Thresholds) -> Row:
    return row if row["error"] or row["reject"] else {**row, "reject": thresholds.verdict(row)}


def _changed(rows: pa.Table, change: Callable[[Row], Row]) -> pa.Table:
    parts = [
        table_from_rows([change(row) for row in rows_from_table(rows.slice(start, CHUNK))], rows.schema)
        for start in range(0, rows.num_rows, CHUNK)
    ]
    return pa.concat_tables(parts) if parts else rows


def accepted_rows(table: pa.Table) -> pa.Table:
    """The rows without error and reject."""
    return table.filter(pc.and_(pc.is_null(table["error"]), pc.is_null(table["reject"])))


def refused(table: pa.Table) -> pa.Table:
    """The rows with an error or a reject."""
    return table.filter(pc.or_(pc.is_valid(table["error"]), pc.is_valid(table["reject"])))
