"""Read, validate and write manifests; the columns are those of `ManifestRow`, told in manifests/README.md.

Every mistake is a `UserError` of one line that names the file, the line (CSV) or row (Parquet), and the column.
A manifest of a million rows is validated as a table; rows are looked at one by one only to word the first mistake.
"""

import dataclasses
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import ClassVar

import pyarrow as pa

from chdtf import manifest_csv, manifest_parquet
from chdtf.columns import table_from_rows
from chdtf.errors import UserError
from chdtf.files import atomic_path
from chdtf.folder import file_url, from_folder, local_path
from chdtf.manifest_csv import BATCH_ROWS, NotPlainError, message
from chdtf.manifest_row import ManifestRow, find_mistake, shown
from chdtf.manifest_rules import find_conflict, find_plain_fault
from chdtf.schema import MANIFEST

__all__ = [
    "ManifestRow",
    "file_url",
    "from_folder",
    "local_path",
    "manifest_rows",
    "manifest_table",
    "read_manifest",
    "read_manifest_table",
    "write_manifest",
]

_CSV, _PARQUET = ".csv", ".parquet"

Numbered = Iterable[tuple[int, ManifestRow]]


def read_manifest_table(path: Path) -> pa.Table:
    """Read a manifest (CSV in UTF-8, or Parquet) and validate all of it: a table with the schema `MANIFEST`.

    Raises `UserError` at the first mistake.
    """
    path = Path(path)
    try:
        if path.suffix.lower() == _PARQUET:
            return _validated(_TableSource(path, manifest_parquet.read_typed(path)))
        with path.open("rb") as stream:
            is_parquet = stream.read(4) == b"PAR1"
        if is_parquet:
            raise UserError(f"{path}: is a Parquet file; rename it to {path.stem}.parquet")
        return _validated(_CsvSource(path))
    except FileNotFoundError:
        raise UserError(f"{path}: no such manifest; give a CSV or Parquet file") from None
    except IsADirectoryError:
        hint = "make a manifest of its videos with: disentbench manifest from-folder"
        raise UserError(f"{path}: is a folder, not a manifest; {hint} {path}") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error


def read_manifest(path: Path) -> list[ManifestRow]:
    """`read_manifest_table` as a list, for manifests of modest size."""
    return list(manifest_rows(read_manifest_table(path)))


def write_manifest(rows: Iterable[ManifestRow] | pa.Table, path: Path) -> int:
    """Write a manifest, CSV or Parquet by the suffix, whole or not at all; reading it gives equal rows.

    Takes rows, which may come from a generator, or a table with the schema `MANIFEST`; returns their number. Raises
    `UserError` for rows that `read_manifest` would refuse.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in (_CSV, _PARQUET):
        raise UserError(f"{path}: unknown kind of manifest; name it .csv or .parquet")
    if isinstance(rows, pa.Table):
        table = _validated(_TableSource(path, rows))
    else:
        table = _checked_table(enumerate(rows, 1), path, "row")
    with atomic_path(path) as temporary:
        (manifest_parquet.write_parquet if suffix == _PARQUET else manifest_csv.write_csv)(table, temporary)
    return int(table.num_rows)


def manifest_table(rows: Iterable[ManifestRow]) -> pa.Table:
    """The rows as a table with the schema `chdtf.schema.MANIFEST`."""
    return table_from_rows([row.as_row() for row in rows], MANIFEST)


def manifest_rows(table: pa.Table) -> Iterator[ManifestRow]:
    """The rows of a table with the schema `MANIFEST`, one by one."""
    for batch in table.select(MANIFEST.names).to_batches(max_chunksize=BATCH_ROWS):
        for cells in batch.to_pylist():
            yield ManifestRow(**{**cells, "crop": cells["crop"] and tuple(cells["crop"])})


def _batches(rows: Iterable[ManifestRow]) -> Iterator[pa.Table]:
    stream = iter(rows)
    while part := list(itertools.islice(stream, BATCH_ROWS)):
        yield manifest_table(part)


@dataclasses.dataclass(frozen=True)
class _CsvSource:
    """A CSV file; its rows are known by their lines."""

    path: Path
    unit: ClassVar[str] = "line"

    def tables(self) -> Iterator[pa.Table]:
        return manifest_csv.read_batches(self.path)

    def rows(self) -> Numbered:
        return manifest_csv.read_rows(self.path)

    def numbers(self, rows: Iterable[int]) -> list[int]:
        return manifest_csv.line_numbers(self.path, rows)


@dataclasses.dataclass(frozen=True)
class _TableSource:
    """A table read from `path`, or to be written there; its rows are counted from 1."""

    path: Path
    table: pa.Table
    unit: ClassVar[str] = "row"

    def tables(self) -> Iterator[pa.Table]:
        yield self.table

    def rows(self) -> Numbered:
        return manifest_parquet.read_rows(self.table, self.path)

    def numbers(self, rows: Iterable[int]) -> list[int]:
        return [row + 1 for row in rows]


def _validated(source: _CsvSource | _TableSource) -> pa.Table:
    """The source as one table, when it is plainly valid; else by its rows, one by one, until the first mistake."""
    table = _plain_table(source)
    if table is None:
        return _checked_table(source.rows(), source.path, source.unit)
    conflict = find_conflict(table)
    if conflict is None:
        return table.cast(MANIFEST)
    row, earlier, column = conflict
    number, first = source.numbers([row, earlier])
    cells, other = (table.slice(index, 1).to_pylist()[0] for index in (row, earlier))
    text = (
        _repeated(cells["video_id"], source.unit, first)
        if column == "video_id"
        else _in_two_splits(cells["split"], cells["speaker_id"], other["split"], source.unit, first)
    )
    raise UserError(message(source.path, f"{source.unit} {number}", column, text))


def _plain_table(source: _CsvSource | _TableSource) -> pa.Table | None:
    """All rows, when each is plainly valid in itself; else None."""
    parts = []
    try:
        for part in source.tables():
            if not part.num_rows or find_plain_fault(part):
                return None
            parts.append(part)
    except NotPlainError:
        return None
    return pa.concat_tables(parts) if parts else None


def _checked_table(rows: Numbered, path: Path, unit: str) -> pa.Table:
    parts = list(_batches(_checked(rows, path, unit)))
    if not parts:
        raise UserError(f"{path}: holds no rows; a manifest has one per video")
    return pa.concat_tables(parts)


def _checked(rows: Numbered, path: Path, unit: str) -> Iterator[ManifestRow]:
    """The rows, while every one is valid, no id stands twice and no speaker is in two splits."""
    ids: dict[str, int] = {}
    splits: dict[str, tuple[str, int]] = {}
    for number, row in rows:
        mistake = find_mistake(row)
        if mistake is None and ids.setdefault(row.video_id, number) != number:
            mistake = "video_id", _repeated(row.video_id, unit, ids[row.video_id])
        if mistake is None and row.split is not None:
            split, first = splits.setdefault(row.speaker_id, (row.split, number))
            if split != row.split:
                mistake = "split", _in_two_splits(row.split, row.speaker_id, split, unit, first)
        if mistake is not None:
            raise UserError(message(path, f"{unit} {number}", *mistake))
        yield row


def _repeated(video_id: str, unit: str, first: int) -> str:
    return f"{shown(video_id)} stands already in {unit} {first}; ids are unique"


def _in_two_splits(split: str, speaker_id: str, other: str, unit: str, first: int) -> str:
    said = f"speaker {shown(speaker_id)} is in {other!r} in {unit} {first}"
    return f"{shown(split)}, but {said}; a speaker belongs to one split"
