"""A CSV of YouTube ids, with or without start, end and box, as a manifest."""

import csv
import dataclasses
import difflib
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from chdtf.errors import UserError
from chdtf.manifest_row import Crop, ManifestRow, shown
from chdtf.youtube import youtube_id, youtube_url
from pipelines.sources.importers import LEFT_OUT, NO_CROP, Account, Note, checked, clipped, printable, seconds

_SIZE = re.compile(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})")


@dataclasses.dataclass(frozen=True)
class Columns:
    """What the columns are called. One under its default name may be absent; one that you name must be there."""

    video: str = "youtube_id"
    """YouTube id, or a link to the video."""
    start: str = "start"
    """Seconds, m:s or h:m:s; empty or absent: from the beginning."""
    end: str = "end"
    """Seconds, m:s or h:m:s; empty or absent: to the end."""
    box: str = "x0,y0,x1,y1"
    """Four columns, or one that holds four numbers; empty or absent: the face is tracked."""
    speaker: str = "speaker_id"
    """Who speaks; absent: every video is a speaker of its own."""
    language: str = "language"
    """BCP 47 tag; absent: the language given for all."""


@dataclasses.dataclass(frozen=True)
class BoxForm:
    """What a box's four numbers mean."""

    width_height: bool = False
    """The numbers are x, y, width, height; else x0, y0, x1, y1."""
    frame: str | None = None
    """Boxes are in pixels of a frame of this size: 1280x720, or two columns such as width,height. None: fractions."""


def from_csv(
    path: Path,
    account: Account,
    columns: Columns | None = None,
    box_form: BoxForm | None = None,
    language: str = "und",
    license: str = "unknown",  # noqa: A002 - the manifest's column
) -> Iterator[ManifestRow]:
    """One row a line; ids are `yt_<YouTube id>_<n>`, n counting the lines of a video.

    A line that cannot be taken goes into the account with its value; one with a bad box is kept without it. Raises
    `UserError` for a file that is no CSV, for a column that is named and not there, and for pixels without a frame.
    """
    columns, box_form = columns or Columns(), box_form or BoxForm()
    path = Path(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, strict=True)
            layout = _Layout.of(path, list(reader.fieldnames or []), columns, box_form)
            counts: Counter[str] = Counter()
            line = reader.line_num
            for cells in reader:
                where = _Place(path.name, line + 1, account)
                line = reader.line_num
                row = _row(cells, layout, where, counts, language, license)
                if row is not None:
                    yield row
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: not a CSV file in UTF-8 ({error})") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error


@dataclasses.dataclass(frozen=True)
class _Place:
    """Where a line stands, and the account that takes notes of it."""

    source: str
    line: int
    account: Account

    def note(self, name: str, outcome: str, problem: str) -> None:
        self.account.append(Note(self.source, self.line, printable(name), outcome, problem))


@dataclasses.dataclass(frozen=True)
class _Layout:
    """The columns that are there."""

    columns: Columns
    present: frozenset[str]
    box: tuple[str, ...]  # none, one or four
    width_height: bool
    size: tuple[str, ...]  # none, or two: numbers or names of columns
    path: Path

    @classmethod
    def of(cls, path: Path, header: list[str], columns: Columns, form: BoxForm) -> "_Layout":
        box, size = _names(columns.box), _names(form.frame or "")
        if len(box) not in (1, 4):
            raise UserError(f"{columns.box!r} names {len(box)} columns; a box has four, or one that holds four numbers")
        constant = _SIZE.fullmatch(form.frame or "")
        size = constant.groups() if constant else size
        if len(size) not in (0, 2):
            raise UserError(f"{form.frame!r} is not a frame; give 1280x720, or two columns such as width,height")
        named = {field.name: getattr(columns, field.name) for field in dataclasses.fields(columns)}
        defaults = {field.name: field.default for field in dataclasses.fields(columns)}
        needed = [named["video"], *(() if constant else size)]
        for key, value in named.items():
            if key != "video" and value != defaults[key]:
                needed += _names(value)
        for name in needed:
            if name not in header:
                near = difflib.get_close_matches(name, header, n=3, cutoff=0.4) or header
                shown_names = ", ".join(map(printable, near[:12])) or "none at all"
                raise UserError(f"{path}, line 1: no column {name!r}; the file has {shown_names}")
            if header.count(name) > 1:
                raise UserError(f"{path}, line 1: column {name!r} stands there {header.count(name)} times")
        there = box if all(name in header for name in box) else ()
        return cls(columns, frozenset(header), there, form.width_height, size, path)

    def cell(self, cells: dict[str, str], key: str) -> str:
        name = getattr(self.columns, key)
        return (cells[name] or "").strip() if name in self.present else ""


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _row(
    cells: dict[str, str],
    layout: _Layout,
    where: _Place,
    counts: Counter[str],
    language: str,
    license: str,  # noqa: A002
) -> ManifestRow | None:
    given = layout.cell(cells, "video")
    if None in cells or None in cells.values():
        where.note(given, LEFT_OUT, "has more or fewer values than the header")
        return None
    video = youtube_id(given)
    if video is None:
        where.note(given, LEFT_OUT, f"{shown(given)} is not a YouTube id or link")
        return None
    try:
        start_s, end_s = (seconds(text) if (text := layout.cell(cells, key)) else None for key in ("start", "end"))
    except ValueError as error:
        where.note(given, LEFT_OUT, str(error))
        return None
    row = ManifestRow(
        video_id=f"yt_{video}_{counts[video]:03d}",
        url=youtube_url(video),
        start_s=start_s,
        end_s=end_s,
        speaker_id=layout.cell(cells, "speaker") or f"yt_{video}",
        language=layout.cell(cells, "language") or language,
        license=license,
        crop=_crop(cells, layout, where, given),
    )
    counts[video] += 1
    return checked(row, where.account, where.source, where.line, given)


def _crop(cells: dict[str, str], layout: _Layout, where: _Place, name: str) -> Crop | None:
    text = " ".join(cells[column] or "" for column in layout.box).replace(",", " ").strip("[]() ")
    if not text:
        return None
    try:
        numbers = [float(part) for part in text.split()]
        size = [float(cells[part] if part in layout.present else part) for part in layout.size] or [1.0, 1.0]
    except ValueError:
        numbers, size = [], []
    if len(numbers) != 4 or not all(value > 0 for value in size):
        where.note(
            name, NO_CROP, f"{shown(text)} is not a box; expected four numbers, and the frame's size if in pixels"
        )
        return None
    if not layout.size and max(numbers) > 2:
        pixels = f"{layout.path}, line {where.line}: box {shown(text)} is not in fractions of the frame"
        raise UserError(f"{pixels}; for pixels give the frame they hold in, such as 1280x720")
    x0, y0, x1, y1 = (number / size[i % 2] for i, number in enumerate(numbers))
    if layout.width_height:
        x1, y1 = x0 + x1, y0 + y1
    box = clipped((x0, y0, x1, y1))
    if not (box[0] < box[2] and box[1] < box[3]):
        where.note(name, NO_CROP, f"{shown(text)} is not a box within the frame")
        return None
    return box
