"""Read, validate and write manifests; the columns are those of `ManifestRow`, told in manifests/README.md.

Every mistake is a `UserError` of one line that names the file, the line (CSV) or row (Parquet), and the column.
"""

import csv
import difflib
import io
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from chdtf.columns import table_from_rows
from chdtf.errors import UserError
from chdtf.files import atomic_path
from chdtf.folder import file_url, from_folder, local_path
from chdtf.manifest_row import FIELDS, REQUIRED, Crop, ManifestRow, find_mistake, shown
from chdtf.schema import MANIFEST, SCHEMA_VERSION, check_version

__all__ = [
    "ManifestRow",
    "file_url",
    "from_folder",
    "local_path",
    "manifest_table",
    "read_manifest",
    "write_manifest",
]

_NUMBER = re.compile(r"\s*[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\s*")
_CSV, _PARQUET = ".csv", ".parquet"
_NUMBERS = ("start_s", "end_s")

Numbered = Iterable[tuple[int, ManifestRow]]


class _CellError(ValueError):
    """A cell that cannot be read: column, what is wrong."""


def read_manifest(path: Path) -> list[ManifestRow]:
    """Read a manifest (CSV in UTF-8, or Parquet) and validate all of it. Raises `UserError` at the first mistake."""
    path = Path(path)
    try:
        if path.suffix.lower() == _PARQUET:
            return _checked(_read_parquet(path), path, "row")
        data = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: no such manifest; give a CSV or Parquet file") from None
    except IsADirectoryError:
        hint = "make a manifest of its videos with: disentbench manifest from-folder"
        raise UserError(f"{path}: is a folder, not a manifest; {hint} {path}") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    if data[:4] == b"PAR1":
        raise UserError(f"{path}: is a Parquet file; rename it to {path.stem}.parquet")
    return _checked(_read_csv(_decoded(data, path), path), path, "line")


def write_manifest(rows: Iterable[ManifestRow], path: Path) -> None:
    """Write a manifest, CSV or Parquet by the suffix, whole or not at all; reading it gives equal rows.

    Raises `UserError` for rows that `read_manifest` would refuse.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in (_CSV, _PARQUET):
        raise UserError(f"{path}: unknown kind of manifest; name it .csv or .parquet")
    checked = _checked(enumerate(rows, 1), path, "row")
    with atomic_path(path) as temporary:
        if suffix == _PARQUET:
            table = manifest_table(checked).replace_schema_metadata({"schema_version": str(SCHEMA_VERSION)})
            pq.write_table(table, temporary, compression="zstd")
            return
        with temporary.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(FIELDS)
            writer.writerows([_cell(getattr(row, name)) for name in FIELDS] for row in checked)


def manifest_table(rows: Iterable[ManifestRow]) -> pa.Table:
    """The rows as a table with the schema `chdtf.schema.MANIFEST`."""
    return table_from_rows([row.as_row() for row in rows], MANIFEST)


def _checked(rows: Numbered, path: Path, unit: str) -> list[ManifestRow]:
    """The rows, when every one is valid, no id stands twice and no speaker is in two splits."""
    checked: list[ManifestRow] = []
    ids: dict[str, int] = {}
    splits: dict[str, tuple[str, int]] = {}
    for number, row in rows:
        mistake = find_mistake(row)
        if mistake is None and ids.setdefault(row.video_id, number) != number:
            mistake = "video_id", f"{shown(row.video_id)} stands already in {unit} {ids[row.video_id]}; ids are unique"
        if mistake is None and row.split is not None:
            split, first = splits.setdefault(row.speaker_id, (row.split, number))
            if split != row.split:
                other = f"speaker {shown(row.speaker_id)} is in {split!r} in {unit} {first}"
                mistake = "split", f"{shown(row.split)}, but {other}; a speaker belongs to one split"
        if mistake is not None:
            raise UserError(_message(path, f"{unit} {number}", *mistake))
        checked.append(row)
    if not checked:
        raise UserError(f"{path}: holds no rows; a manifest has one per video")
    return checked


def _message(path: Path, place: str, column: str, text: str) -> str:
    return f"{path}, {place}, column {column}: {text}"


def _decoded(data: bytes, path: Path) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        wrong = f"byte 0x{data[error.start]:02x} in line {line}"
        raise UserError(f"{path}: not a CSV file in UTF-8 ({wrong}); save it as 'CSV UTF-8'") from error


def _check_header(names: list[str], path: Path, place: str) -> None:
    for name in names:
        if name not in FIELDS:
            near = difflib.get_close_matches(name.strip().lower(), FIELDS, n=3, cutoff=0.5)
            hint = f"did you mean {' or '.join(near)}?" if near else f"allowed are {', '.join(FIELDS)}"
            raise UserError(f"{path}, {place}: unknown column {shown(name)}; {hint}")
        if names.count(name) > 1:
            raise UserError(f"{path}, {place}: column {name} stands there {names.count(name)} times")
    if missing := [name for name in REQUIRED if name not in names]:
        raise UserError(f"{path}, {place}: missing column {', '.join(missing)}; required are {', '.join(REQUIRED)}")


def _read_csv(text: str, path: Path) -> Iterator[tuple[int, ManifestRow]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    line = 1
    header: list[str] | None = None
    try:
        for cells in reader:
            if cells and header is None:
                header = cells
                _check_header(header, path, f"line {line}")
            elif cells and header is not None:
                if len(cells) != len(header):
                    counts = f"{len(cells)} values for {len(header)} columns"
                    raise UserError(f"{path}, line {line}: {counts}; put values that hold commas in double quotes")
                yield line, _row_of_cells(dict(zip(header, cells, strict=True)))
            line = reader.line_num + 1
    except csv.Error as error:
        raise UserError(f"{path}, line {reader.line_num}: not CSV ({error})") from error
    except _CellError as error:
        raise UserError(_message(path, f"line {line}", *error.args)) from error
    if header is None:
        raise UserError(f"{path}: is empty; the first line of a manifest names the columns {', '.join(FIELDS)}")


def _row_of_cells(cells: dict[str, str]) -> ManifestRow:
    return ManifestRow(
        video_id=cells["video_id"],
        url=cells["url"],
        start_s=_number(cells, "start_s"),
        end_s=_number(cells, "end_s"),
        speaker_id=cells["speaker_id"],
        language=cells["language"],
        license=cells["license"],
        split=cells.get("split") or None,
        crop=_crop(cells),
        sha256=cells.get("sha256") or None,
    )


def _number(cells: dict[str, str], name: str) -> float | None:
    text = cells.get(name)
    if not text:
        return None
    if not _NUMBER.fullmatch(text):
        raise _CellError(name, f"{shown(text)} is not a number; give seconds such as 12.5, or nothing")
    return float(text)


def _crop(cells: dict[str, str]) -> Crop | None:
    text = cells.get("crop")
    if not text:
        return None
    parts = text.split()
    if len(parts) != 4 or not all(map(_NUMBER.fullmatch, parts)):
        raise _CellError("crop", f"{shown(text)} is not four numbers; give x0 y0 x1 y1, such as '0.1 0 0.6 0.9'")
    x0, y0, x1, y1 = map(float, parts)
    return x0, y0, x1, y1


def _cell(value: object) -> object:
    """A value as CSV text that reads back exactly (`repr` of a float does)."""
    if isinstance(value, tuple):
        return " ".join(map(repr, value))
    return repr(value) if isinstance(value, float) else value


def _read_parquet(path: Path) -> Iterator[tuple[int, ManifestRow]]:
    if path.is_dir():
        raise IsADirectoryError
    try:
        table = pq.read_table(path)
    except pa.ArrowInvalid as error:
        raise UserError(f"{path}: not a readable Parquet file ({str(error).splitlines()[0]})") from error
    version = (table.schema.metadata or {}).get(b"schema_version")
    if version is not None:
        check_version(version.decode(), path, "disentbench manifest, from the CSV or the folder it was made of")
    _check_header(table.column_names, path, "schema")
    columns = {name: _column(table.column(name), name, path) for name in table.column_names}
    for number, values in enumerate(zip(*columns.values(), strict=True), 1):
        cells = dict(zip(columns, values, strict=True))
        if cells.get("crop") is not None:
            if len(cells["crop"]) != 4 or None in cells["crop"]:
                raise UserError(_message(path, f"row {number}", "crop", f"{cells['crop']} is not four numbers"))
            cells["crop"] = tuple(cells["crop"])
        yield number, ManifestRow(**cells)


def _column(column: pa.ChunkedArray, name: str, path: Path) -> list:
    wanted = MANIFEST.field(name).type
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if name in _NUMBERS:
        suits = _is_number(kind)
    elif name == "crop":
        suits = hasattr(kind, "value_type") and _is_number(kind.value_type)
    else:
        suits = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    if not (suits or pa.types.is_null(kind)):
        raise UserError(_message(path, "schema", name, f"type {column.type} cannot be read as {wanted}"))
    values: list = column.to_pylist() if name == "crop" else column.cast(wanted).to_pylist()
    return values


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))
