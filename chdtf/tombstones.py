"""Tombstones: sources that were withdrawn, and what no stage, publication or leaderboard may use any more.

A list is a CSV file, `source_id,sha256,date,reason,requested_by,contact` (manifests/README.md). A source is named by
its site id (`youtube:ID`, `bilibili:BV...`), its address or its `video_id`, or by the SHA-256 of its file; each is
enough.
"""

import csv
import dataclasses
import datetime
import functools
import hashlib
import io
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from chdtf.errors import UserError
from chdtf.files import write_text
from chdtf.manifest_row import shown
from chdtf.site_id import named_site_id, site_id, site_id_of_clip

FIELDS = ("source_id", "sha256", "date", "reason", "requested_by", "contact")
WORD = "tombstoned"  # of the `reject` column, and of the reason in a score table
FILE = "tombstones.csv"  # in manifests/, and in the root of a dataset that was purged
ENVIRONMENT = "DISENTBENCH_TOMBSTONES"

_PROJECT = Path(__file__).resolve().parent.parent / "manifests" / FILE
_REQUIRED = ("source_id", "sha256", "date", "reason")
_HASHES = ("source_sha256", "sha256", "video_sha256", "audio_sha256")  # columns that name content
_SHA256 = re.compile(r"[0-9a-f]{64}")
_TEXT = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


@dataclasses.dataclass(frozen=True)
class Tombstone:
    """One withdrawn source; `date` is the day (ISO 8601) of the request, the rest is in the words of who entered it."""

    source_id: str = ""
    sha256: str = ""
    date: str = ""
    reason: str = ""
    requested_by: str = ""
    contact: str = ""

    @property
    def words(self) -> str:
        """How a row says it: the source (or the first digits of its hash), the day and the reason."""
        said = ", ".join(part for part in (self.date, self.reason) if part)
        return f"{WORD}: {self.source_id or 'sha256 ' + self.sha256[:12]}{f' ({said})' if said else ''}"


@dataclasses.dataclass(frozen=True)
class Tombstones:
    """What is withdrawn. Hashable and small to send to a worker; two lists of the same entries are equal."""

    entries: tuple[Tombstone, ...] = ()
    files: tuple[str, ...] = dataclasses.field(default=(), compare=False)  # where the entries were read

    @classmethod
    def load(cls, paths: Iterable[Path]) -> "Tombstones":
        """Read lists and join them; an entry that stands twice counts once. Raises `UserError` at the first mistake."""
        files = [Path(path) for path in paths]
        return cls(tuple(dict.fromkeys(entry for path in files for entry in read(path))), tuple(map(str, files)))

    @classmethod
    def of(cls, name: str) -> "Tombstones":
        """What one name withdraws: a site id, an address, a `video_id` or a SHA-256."""
        digest = name.strip().lower()
        return cls((Tombstone(sha256=digest) if _SHA256.fullmatch(digest) else Tombstone(source_id=name.strip()),))

    def blocks(self, row: Mapping[str, Any]) -> str | None:
        """`tombstoned: ...` when the row is of a withdrawn source, else None.

        Looked at are the columns `video_id`, `site_id`, `url`, `source_sha256`, `sha256`, `video_sha256` and
        `audio_sha256`, those that the row has. The id of a track of VoxCeleb names its source, and that of a lock's row
        (`is_exact`) the video that the clip was cut from.
        """
        if not self.entries:
            return None
        url = row.get("url") or ""
        video_id = row.get("video_id") or ""
        cut_from = video_id.rpartition("_")[0] if row.get("is_exact") else None
        sites = _site(row.get("site_id")), site_id(url) if url else None, site_id_of_clip(video_id)
        for name in (video_id, cut_from, *sites, _plain(url)):
            if name and (found := self._by_name.get(name)):
                return found.words
        for column in _HASHES:
            digest = row.get(column)
            if digest and (found := self._by_hash.get(digest.lower())):
                return found.words
        return None

    @property
    def has_hashes(self) -> bool:
        """Whether any entry names content."""
        return bool(self._by_hash)

    @functools.cached_property
    def _by_name(self) -> dict[str, Tombstone]:
        named: dict[str, Tombstone] = {}
        for entry in self.entries:
            if entry.source_id:
                for name in (entry.source_id, named_site_id(entry.source_id), _plain(entry.source_id)):
                    named.setdefault(name or entry.source_id, entry)
        return named

    @functools.cached_property
    def _by_hash(self) -> dict[str, Tombstone]:
        return {entry.sha256: entry for entry in reversed(self.entries) if entry.sha256}

    @functools.cached_property
    def hash(self) -> str:
        """Hex SHA-256 of the entries, whatever their order and files."""
        text = json.dumps(sorted(dataclasses.astuple(entry) for entry in self.entries))
        return hashlib.sha256(text.encode()).hexdigest()


def _plain(url: str) -> str:
    """An address without its fragment and with its host in small letters, so that equal addresses are equal texts."""
    head, _, _ = url.partition("#")
    scheme, colon, rest = head.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme.lower()}{colon}{host.lower()}{slash}{path}" if colon else head


def _site(identity: str | None) -> str | None:
    """A `site_id` column in its one form; the part of a video in several parts (BV..._p2) is of that video."""
    return None if not identity else named_site_id(identity) or identity


def find(*more: Path, dataset: Path | None = None) -> Tombstones:
    """All lists that count here: the project's own, those of the environment and of the caller, and the dataset's own.

    The project's `manifests/tombstones.csv` is not part of an installed package: where the folder is absent only the
    others count, and `files` says which were read. `DISENTBENCH_TOMBSTONES` holds paths, separated as in PATH; these
    and `more` must exist. Raises `UserError` for a list that is missing or wrong.
    """
    named = [Path(name) for name in os.environ.get(ENVIRONMENT, "").split(os.pathsep) if name]
    own = [dataset / FILE] if dataset is not None else []
    return Tombstones.load([*(path for path in (_PROJECT, *own) if path.is_file()), *named, *more])


def read(path: Path) -> list[Tombstone]:
    """Read a list. Raises `UserError` of one line, with file, line and column, at the first mistake."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); give a CSV list of tombstones") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not a CSV file in UTF-8; save it as 'CSV UTF-8'") from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    entries, header = [], None
    try:
        for cells in reader:
            if not cells:
                continue
            if header is None:
                header = _header(cells, path)
                continue
            if len(cells) != len(header):
                counts = f"{len(cells)} values for {len(header)} columns"
                raise UserError(f"{path}, line {reader.line_num}: {counts}; quote values that hold commas")
            entries.append(_checked(dict(zip(header, cells, strict=True)), f"{path}, line {reader.line_num}"))
    except csv.Error as error:
        raise UserError(f"{path}, line {reader.line_num}: not CSV ({error})") from error
    if header is None:
        raise UserError(f"{path}: is empty; its first line is {','.join(FIELDS)}")
    return entries


def append(path: Path, entries: Sequence[Tombstone]) -> None:
    """Add entries to a list, made when missing; those that stand there already are not repeated."""
    before = read(path) if path.exists() else []
    known = {(entry.source_id, entry.sha256) for entry in before}
    kept = [*before, *(entry for entry in entries if (entry.source_id, entry.sha256) not in known)]
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerows([FIELDS, *map(dataclasses.astuple, kept)])
    write_text(path, sink.getvalue())


def _header(names: list[str], path: Path) -> list[str]:
    names = [name.strip() for name in names]
    unknown = [name for name in names if name not in FIELDS]
    missing = [name for name in _REQUIRED if name not in names]
    if unknown or missing or len(set(names)) != len(names):
        wrong = f"unknown column {shown(unknown[0])}" if unknown else f"missing or double column among {names}"
        raise UserError(f"{path}, line 1: {wrong}; the columns are {','.join(FIELDS)} (the last two may be left out)")
    return names


def _checked(cells: dict[str, str], place: str) -> Tombstone:
    values = {name: _TEXT.sub(" ", text).strip() for name, text in cells.items()}
    entry = Tombstone(**{**values, "sha256": values["sha256"].lower()})
    if not (entry.source_id or entry.sha256):
        raise UserError(f"{place}: names no source; give source_id (youtube:ID, an address, a video_id) or sha256")
    if entry.sha256 and not _SHA256.fullmatch(entry.sha256):
        raise UserError(f"{place}, column sha256: {shown(cells['sha256'])} is not 64 hexadecimal digits")
    if entry.date:
        try:
            datetime.datetime.strptime(entry.date, "%Y-%m-%d")
        except ValueError as error:
            raise UserError(f"{place}, column date: {shown(entry.date)} is not a day; write 2026-01-31") from error
    return entry
