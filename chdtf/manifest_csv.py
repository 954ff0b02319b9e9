"""Manifests as CSV: cells read in batches, typed at once where they are plain, and cell by cell to word a mistake."""

import csv
import difflib
import itertools
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chdtf.errors import UserError
from chdtf.manifest_row import FIELDS, REQUIRED, Crop, ManifestRow, shown
from chdtf.schema import MANIFEST

BATCH_ROWS = 65_536

_NUMBER = re.compile(r"\s*[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\s*")
_PLAIN = r"[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?"
_NUMBERS = ("start_s", "end_s")


class CellError(ValueError):
    """A cell that cannot be read: column, what is wrong."""


class NotPlainError(Exception):
    """Cells that only the reading row by row can judge."""


def message(path: Path, place: str, column: str, text: str) -> str:
    """The line that a mistake in a cell gets."""
    return f"{path}, {place}, column {column}: {text}"


def check_header(names: list[str], path: Path, place: str) -> None:
    """Raise `UserError` for unknown, repeated and missing columns."""
    for name in names:
        if name not in FIELDS:
            near = difflib.get_close_matches(name.strip().lower(), FIELDS, n=3, cutoff=0.5)
            hint = f"did you mean {' or '.join(near)}?" if near else f"allowed are {', '.join(FIELDS)}"
            raise UserError(f"{path}, {place}: unknown column {shown(name)}; {hint}")
        if names.count(name) > 1:
            raise UserError(f"{path}, {place}: column {name} stands there {names.count(name)} times")
    if missing := [name for name in REQUIRED if name not in names]:
        raise UserError(f"{path}, {place}: missing column {', '.join(missing)}; required are {', '.join(REQUIRED)}")


def opened(path: Path) -> TextIO:
    """The file as text: UTF-8 with or without a byte order mark, its line ends as they are."""
    return path.open(encoding="utf-8-sig", newline="")


def read_batches(path: Path) -> Iterator[pa.Table]:
    """Tables of up to `BATCH_ROWS` rows with the schema `MANIFEST`, typed but not validated.

    Raises `NotPlainError` where anything is not as a program writes it: `read_rows` then judges, or words the mistake.
    """
    try:
        with opened(path) as stream:
            reader = csv.reader(stream, strict=True)
            header = next((cells for cells in reader if cells), None)
            if header is None:
                raise NotPlainError
            check_header(header, path, "line 1")
            filled = (cells for cells in reader if cells)
            while batch := list(itertools.islice(filled, BATCH_ROWS)):
                if any(len(cells) != len(header) for cells in batch):
                    raise NotPlainError
                columns = dict(zip(header, zip(*batch, strict=True), strict=True))
                yield pa.table([_typed(columns.get(field.name), field, len(batch)) for field in MANIFEST], MANIFEST)
    except (csv.Error, UnicodeDecodeError, pa.ArrowInvalid, UserError) as error:
        raise NotPlainError from error


def _typed(cells: tuple[str, ...] | None, field: pa.Field, count: int) -> pa.Array:
    if cells is None:
        return pa.nulls(count, field.type)
    text = pa.array(cells, pa.string())
    if field.name in REQUIRED:
        return text
    filled = pc.not_equal(text, "")
    text = pc.if_else(filled, text, None)
    if field.name in _NUMBERS:
        _require_pattern(text, rf"\A{_PLAIN}\z")
        return text.cast(pa.float64())
    if field.name == "crop":
        _require_pattern(text, rf"\A{_PLAIN}( {_PLAIN}){{3}}\z")
        numbers = pc.list_flatten(pc.split_pattern(text, " ")).cast(pa.float64())
        is_filled = filled.to_numpy(zero_copy_only=False)
        offsets = np.concatenate([[0], np.cumsum(4 * is_filled)]).astype(np.int32)
        return pa.ListArray.from_arrays(pa.array(offsets), numbers, type=field.type, mask=pa.array(~is_filled))
    return text


def _require_pattern(text: pa.Array, pattern: str) -> None:
    if not pc.all(pc.match_substring_regex(text, pattern), min_count=0).as_py():
        raise NotPlainError


def read_rows(path: Path) -> Iterator[tuple[int, ManifestRow]]:
    """The rows one by one with their line numbers, as an editor counts lines; raises `UserError` at a mistake."""
    with opened(path) as stream:
        reader = csv.reader(stream, strict=True)
        line = 1
        header: list[str] | None = None
        try:
            for cells in reader:
                if cells and header is None:
                    header = cells
                    check_header(header, path, f"line {line}")
                elif cells and header is not None:
                    if len(cells) != len(header):
                        counts = f"{len(cells)} values for {len(header)} columns"
                        raise UserError(f"{path}, line {line}: {counts}; put values that hold commas in double quotes")
                    yield line, _row_of_cells(dict(zip(header, cells, strict=True)))
                line = reader.line_num + 1
        except csv.Error as error:
            raise UserError(f"{path}, line {reader.line_num}: not CSV ({error})") from error
        except CellError as error:
            raise UserError(message(path, f"line {line}", *error.args)) from error
        except UnicodeDecodeError as error:
            raise UserError(_undecodable(path)) from error
    if header is None:
        raise UserError(f"{path}: is empty; the first line of a manifest names the columns {', '.join(FIELDS)}")


def line_numbers(path: Path, rows: Iterable[int]) -> list[int]:
    """The lines in which rows (counted from 0) of a file that `read_batches` took begin."""
    wanted = dict.fromkeys(rows, 0)
    with opened(path) as stream:
        reader = csv.reader(stream, strict=True)
        row, line = -2, 1  # the header is row -1
        for cells in reader:
            row += bool(cells)
            if cells and row in wanted:
                wanted[row] = line
            line = reader.line_num + 1
    return list(wanted.values())


def _undecodable(path: Path) -> str:
    """Names the first line that is not UTF-8; lines end as bytes do, for text cannot be had."""
    with path.open("rb") as stream:
        for number, line in enumerate(stream, 1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                wrong = f"byte 0x{line[error.start]:02x} in line {number}"
                return f"{path}: not a CSV file in UTF-8 ({wrong}); save it as 'CSV UTF-8'"
    return f"{path}: not a CSV file in UTF-8; save it as 'CSV UTF-8'"


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
        raise CellError(name, f"{shown(text)} is not a number; give seconds such as 12.5, or nothing")
    return float(text)


def _crop(cells: dict[str, str]) -> Crop | None:
    text = cells.get("crop")
    if not text:
        return None
    parts = text.split()
    if len(parts) != 4 or not all(map(_NUMBER.fullmatch, parts)):
        raise CellError("crop", f"{shown(text)} is not four numbers; give x0 y0 x1 y1, such as '0.1 0 0.6 0.9'")
    x0, y0, x1, y1 = map(float, parts)
    return x0, y0, x1, y1


def write_csv(table: pa.Table, path: Path) -> None:
    """Write a table with the schema `MANIFEST`; every float is written so that it reads back exactly."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(FIELDS)
        for batch in table.to_batches(max_chunksize=BATCH_ROWS):
            writer.writerows(zip(*(map(_cell, batch.column(name).to_pylist()) for name in FIELDS), strict=True))


def _cell(value: object) -> object:
    """A value as CSV text that reads back exactly (`repr` of a float does)."""
    if isinstance(value, list):
        return " ".join(map(repr, value))
    return repr(value) if isinstance(value, float) else value
