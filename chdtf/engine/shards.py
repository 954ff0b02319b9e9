"""A shard: a Parquet file of rows whose metadata says what made it and what is in it.

`fingerprint` says what made it (stage name, version, fields, and the content of its input), `content` what is in it.
`rows` holds a hash of every row, `inputs` for each row that went in its hash, how many rows it became, and whether it
ended in an error of this stage; `config` is the stage's configuration alone. So a single row whose input or outcome
changed can be made again, and no other.
"""

import bisect
import hashlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from chdtf.columns import Row, parquet_layout, rows_from_table, table_from_rows
from chdtf.engine.stage import Stage, Workspace, config_fingerprint, extended_schema, stage_fingerprint
from chdtf.errors import DiskFullError, UserError, is_disk_full
from chdtf.files import atomic_path
from chdtf.schema import SCHEMA_VERSION, check_version

__all__ = [
    "ShardRows",
    "Stage",
    "Workspace",
    "config_fingerprint",
    "content_hash",
    "content_of_rows",
    "extended_schema",
    "iter_rows",
    "read_shard",
    "readable_schema",
    "row_hash",
    "shard_metadata",
    "stage_fingerprint",
    "write_shard",
    "write_tables",
]

ROW_GROUP_BYTES = 8 << 20  # what a reader holds at a time
_HASHED_ROWS = 1 << 16
_UNREADABLE = (pa.ArrowException, OSError, UnicodeDecodeError)


def content_hash(table: pa.Table) -> str:
    """Hash of a table's values and types, independent of chunks and metadata; copies 65,536 rows at a time."""
    digest = hashlib.sha256()
    plain = table.replace_schema_metadata(None)
    for begin in range(0, max(plain.num_rows, 1), _HASHED_ROWS):
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, plain.schema) as writer:
            writer.write_table(plain.slice(begin, _HASHED_ROWS).combine_chunks())
        digest.update(sink.getvalue())
    return digest.hexdigest()


def row_hash(row: Row, schema: pa.Schema) -> str:
    """Hash of one row's values and types."""
    return content_hash(table_from_rows([row], schema))


def content_of_rows(hashes: Iterable[str]) -> str:
    """Hash of a shard's content from those of its rows."""
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()


def readable_schema(schema: pa.Schema) -> pa.Schema:
    """The schema with fixed-size list columns as plain lists: PyArrow cannot read their nulls back from Parquet."""
    fields = [
        field.with_type(pa.list_(field.type.value_type)) if pa.types.is_fixed_size_list(field.type) else field
        for field in schema
    ]
    return pa.schema(fields)


def write_shard(table: pa.Table, path: Path, fingerprint: str, more: dict[str, str] | None = None) -> str:
    """Write a shard whole or not at all, with `more` as further metadata; returns its content hash."""
    table = table.cast(readable_schema(table.schema))
    content = content_hash(table)
    write_tables([table], table.schema, path, {"fingerprint": fingerprint, "content": content, **(more or {})})
    return content


def write_tables(tables: Iterable[pa.Table], schema: pa.Schema, path: Path, metadata: dict[str, str]) -> None:
    """Write tables of one schema as a shard, whole or not at all, holding one row group at a time.

    `metadata` holds at least `fingerprint` and `content`. Raises `DiskFullError`.
    """
    tagged = schema.with_metadata({"schema_version": str(SCHEMA_VERSION), **metadata})
    try:
        with (
            atomic_path(path) as temporary,
            pq.ParquetWriter(
                temporary, tagged, compression="zstd", write_page_checksum=True, **parquet_layout(schema)
            ) as writer,
        ):
            for group in _grouped(tables):
                writer.write_table(group.replace_schema_metadata(tagged.metadata), row_group_size=group.num_rows)
    except OSError as error:
        if is_disk_full(error):
            raise DiskFullError(path) from error
        raise


def _grouped(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    pending: list[pa.Table] = []
    size = 0
    for table in tables:
        if pending and size + table.nbytes > ROW_GROUP_BYTES:
            yield pa.concat_tables(pending).combine_chunks()
            pending, size = [], 0
        pending.append(table)
        size += table.nbytes
    if pending and (rows := pa.concat_tables(pending)).num_rows:
        yield rows.combine_chunks()


def _rebuild(path: Path) -> str:
    return f"rm {path} and run the same command again"


def shard_metadata(path: Path) -> dict[str, str]:
    """Metadata of a shard. Raises `UserError` when the file is missing, corrupt or of another schema version."""
    try:
        raw = pq.read_schema(path).metadata or {}
        metadata = {key.decode(): value.decode() for key, value in raw.items()}
    except _UNREADABLE as error:
        raise UserError(f"{path}: not a readable shard ({_first_line(error)}); {_rebuild(path)}") from error
    check_version(metadata.get("schema_version", "unknown"), path, _rebuild(path))
    if not {"fingerprint", "content"} <= set(metadata):
        raise UserError(f"{path}: not a readable shard (its hashes are missing); {_rebuild(path)}")
    return metadata


def read_shard(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Read a shard. Raises `UserError` when it is missing, corrupt or of another schema version."""
    shard_metadata(path)
    try:
        return pq.read_table(path, columns=list(columns) if columns else None, page_checksum_verification=True)
    except _UNREADABLE as error:
        raise UserError(f"{path}: corrupt shard ({_first_line(error)}); {_rebuild(path)}") from error


def iter_rows(path: Path, columns: Sequence[str] | None = None) -> Iterator[Row]:
    """Rows of a shard one after another, holding one row group at a time. Raises as `read_shard` does."""
    with ShardRows(path, columns) as shard:
        for number in range(len(shard)):
            yield shard.row(number)


class ShardRows:
    """Rows of a shard by number, holding one row group at a time. Raises `UserError` as `read_shard` does."""

    def __init__(self, path: Path, columns: Sequence[str] | None = None) -> None:
        shard_metadata(path)
        self.path = path
        self._columns = list(columns) if columns else None
        try:
            self._file = pq.ParquetFile(path, page_checksum_verification=True)
        except _UNREADABLE as error:
            raise UserError(f"{path}: corrupt shard ({_first_line(error)}); {_rebuild(path)}") from error
        about = self._file.metadata
        sizes = [about.row_group(number).num_rows for number in range(about.num_row_groups)]
        self._starts: list[int] = [0, *itertools.accumulate(sizes)]
        self._held: tuple[int, pa.Table] | None = None

    def __len__(self) -> int:
        return self._starts[-1]

    def __enter__(self) -> "ShardRows":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._held = None
        self._file.close()

    def tables(self, start: int, count: int) -> Iterator[pa.Table]:
        """`count` rows from number `start`, each as a table."""
        for number in range(start, start + count):
            group = bisect.bisect_right(self._starts, number) - 1
            yield self._group(group).slice(number - self._starts[group], 1)

    def row(self, number: int) -> Row:
        """One row."""
        return rows_from_table(next(self.tables(number, 1)))[0]

    def _group(self, number: int) -> pa.Table:
        if self._held is None or self._held[0] != number:
            self._held = None
            try:
                self._held = number, self._file.read_row_group(number, self._columns)
            except _UNREADABLE as error:
                raise UserError(f"{self.path}: corrupt shard ({_first_line(error)}); {_rebuild(self.path)}") from error
        return self._held[1]


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
