"""Other people's lists into manifests: one module an importer, behind the verb `manifest from-<name>`.

An importer yields `ManifestRow`s and puts a `Note` into the account for all that it leaves out or takes differently.
Its input is other people's text: ids are checked against a pattern, and nothing of it becomes a path or a command.
"""

import csv
import dataclasses
import re
from collections.abc import Iterable
from pathlib import Path

from chdtf.errors import UserError
from chdtf.files import atomic_path
from chdtf.manifest import write_manifest
from chdtf.manifest_row import Crop, ManifestRow, find_mistake, shown

LEFT_OUT, NO_CROP, KEPT = "left out", "without crop", "kept"

_CLOCK = re.compile(r"(?:(?:([0-9]+):)?([0-9]{1,2}):)?([0-9]+(?:\.[0-9]+)?)")


@dataclasses.dataclass(frozen=True, slots=True)
class Note:
    """One line of an account: what could not be taken as it stands in somebody's list, and what became of it.

    Attributes:
        source: the list's file name, or a path below the folder that was given.
        line: line in it, from 1; 0 for the file as a whole.
        name: what the list calls the item.
        outcome: `left out`, `without crop` (a row whose face is tracked instead) or `kept`.
        problem: one line with the offending value.

    """

    source: str
    line: int
    name: str
    outcome: str
    problem: str


Account = list[Note]


def account_path(manifest: Path) -> Path:
    """Where the account of an imported manifest stands: `hdtf.csv` has `hdtf_account.csv` beside it."""
    return manifest.with_name(f"{manifest.stem}_account.csv")


def write_import(rows: Iterable[ManifestRow], account: Account, out: Path) -> int:
    """Write the manifest and, when anything is to be said, its account beside it; returns the number of rows.

    Raises `UserError` when no row is left, with the first problem.
    """
    rows = iter(rows)
    first = next(rows, None)
    if first is None:
        why = (
            f"; the first problem: {account[0].source}, line {account[0].line}: {account[0].problem}" if account else ""
        )
        raise UserError(f"{out}: nothing to write, no row could be taken{why}")
    count = write_manifest(_followed(first, rows), out)
    with atomic_path(account_path(out)) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow([field.name for field in dataclasses.fields(Note)])
        writer.writerows(dataclasses.astuple(note) for note in account)
    return count


def _followed(first: ManifestRow, rest: Iterable[ManifestRow]) -> Iterable[ManifestRow]:
    yield first
    yield from rest


def checked(row: ManifestRow, account: Account, source: str, line: int, name: str) -> ManifestRow | None:
    """The row when a manifest may hold it; else None and a note. A crop that is no box is left out, not the row."""
    mistake = find_mistake(row)
    if mistake is not None and mistake[0] == "crop":
        account.append(Note(source, line, printable(name), NO_CROP, f"crop: {mistake[1]}"))
        row = dataclasses.replace(row, crop=None)
        mistake = find_mistake(row)
    if mistake is None:
        return row
    account.append(Note(source, line, printable(name), LEFT_OUT, f"{mistake[0]}: {mistake[1]}"))
    return None


def printable(text: str) -> str:
    """Other people's text as an account may hold it: one line, not endless, and no formula for a spreadsheet."""
    return text if text.isprintable() and len(text) <= 80 and text[:1] not in tuple("=+@") else shown(text)


def seconds(text: str) -> float:
    """Seconds of `12.5`, `1:02.5` (minutes) or `1:00:02`; raises `ValueError` with one line for others."""
    parts = _CLOCK.fullmatch(text.strip())
    if parts is None:
        raise ValueError(f"{shown(text)} is not a time; allowed are seconds, m:s and h:m:s")
    hours, minutes, rest = parts.groups()
    if (minutes and float(rest) >= 60) or (hours and int(minutes) >= 60):
        raise ValueError(f"{shown(text)} is not a time; minutes and seconds stay below 60")
    return int(hours or 0) * 3600 + int(minutes or 0) * 60 + float(rest)


def clipped(box: Crop) -> Crop:
    """The part of a box (x0, y0, x1, y1 as fractions) that lies in the frame."""
    x0, y0, x1, y1 = (min(max(value, 0.0), 1.0) for value in box)
    return x0, y0, x1, y1
