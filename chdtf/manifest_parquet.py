"""Manifests as Parquet, of this project or of other tools: the same columns, any number and text types."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from chdtf.errors import UserError
from chdtf.manifest_csv import BATCH_ROWS, check_header, message
from chdtf.manifest_row import ManifestRow
from chdtf.schema import MANIFEST, SCHEMA_VERSION, check_version

_NUMBERS = ("start_s", "end_s")


def read_typed(path: Path) -> pa.Table:
    """The whole file with the types of the schema `MANIFEST`, not validated; raises `UserError`."""
    if path.is_dir():
        raise IsADirectoryError
    try:
        table = pq.read_table(path)
        table.validate(full=True)
    except pa.ArrowInvalid as error:
        raise UserError(f"{path}: not a readable Parquet file ({str(error).splitlines()[0]})") from error
    version = (table.schema.metadata or {}).get(b"schema_version")
    if version is not None:
        check_version(version.decode(), path, "disentbench manifest, from the CSV or the folder it was made of")
    check_header(table.column_names, path, "schema")
    for name in table.column_names:
        table = table.set_column(table.column_names.index(name), name, _column(table.column(name), name, path))
    absent = [name for name in MANIFEST.names if name not in table.column_names]
    for name in absent:
        table = table.append_column(name, pa.nulls(table.num_rows, MANIFEST.field(name).type))
    # the schema's own "not null" is what validation finds out, so the fields here are all nullable
    return table.select(MANIFEST.names).replace_schema_metadata(None)


def read_rows(table: pa.Table, path: Path) -> Iterator[tuple[int, ManifestRow]]:
    """The rows one by one with their numbers, from 1; raises `UserError` at a crop that is not four numbers."""
    number = 0
    for batch in table.to_batches(max_chunksize=BATCH_ROWS):
        for cells in batch.to_pylist():
            number += 1
            crop = cells["crop"]
            if crop is not None and (len(crop) != 4 or None in crop):
                raise UserError(message(path, f"row {number}", "crop", f"{crop} is not four numbers"))
            yield number, ManifestRow(**{**cells, "crop": crop and tuple(crop)})


def write_parquet(table: pa.Table, path: Path) -> None:
    """Write a table with the schema `MANIFEST`, its version among the metadata."""
    marked = table.replace_schema_metadata({"schema_version": str(SCHEMA_VERSION)})
    pq.write_table(marked, path, compression="zstd")


def _column(column: pa.ChunkedArray, name: str, path: Path) -> pa.ChunkedArray:
    wanted = MANIFEST.field(name).type
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if name in _NUMBERS:
        suits = _is_number(kind)
    elif name == "crop":
        suits = hasattr(kind, "value_type") and _is_number(kind.value_type)
    else:
        suits = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    if suits or pa.types.is_null(kind):
        try:
            return column if column.type.equals(wanted) else column.cast(wanted)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            pass
    raise UserError(message(path, "schema", name, f"type {column.type} cannot be read as {wanted}"))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))
