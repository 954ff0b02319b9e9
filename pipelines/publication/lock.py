"""The lock: exactly what a dataset is made of, so that others can make the same one and say what they miss.

One row for every clip, also for those that were refused: where it is (address, site id, seconds, box), what it must be
(SHA-256 of the source, of its picture and of its sound), and how it ended. `lock.csv` is plain CSV; `lock.json` beside
it says by which stages and packages it was made.
"""

import csv
import dataclasses
import importlib.metadata
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from chdtf.errors import UserError
from chdtf.files import atomic_path, write_text
from chdtf.manifest import ManifestRow, manifest_table
from chdtf.manifest_row import shown
from chdtf.schema import SCHEMA_VERSION
from pipelines.publication.lock_row import ACCEPTED, FIELDS, LOCK_VERSION, OUTCOMES, LockRow, cell, lock_row, parse

NAME = "lock.csv"
_PACKAGES = ("disentbench", "av", "mediapipe", "opencv-contrib-python", "numpy", "yt-dlp", "scenedetect", "onnxruntime")


@dataclasses.dataclass(frozen=True)
class Lock:
    """A lock as it was read: its rows, and `lock.json` (empty where that is missing)."""

    path: Path
    rows: tuple[LockRow, ...]
    settings: Mapping[str, Any]

    def accepted(self) -> list[LockRow]:
        """The clips of the dataset."""
        return [row for row in self.rows if row.outcome == ACCEPTED]


def companion(path: Path) -> Path:
    """`lock.json` of `lock.csv`."""
    return path.with_suffix(".json")


def write_lock(path: Path, rows: Iterable[Mapping[str, Any] | LockRow], settings: Mapping[str, Any]) -> None:
    """Write a lock and its companion; rows are taken one by one, in their order.

    `rows` are finished rows (see `lock_row`) or lock rows, `settings` what the build's stages were (`stages`: a list
    with name, version, fields and fingerprint of each; further keys are kept). The same rows give the same bytes.
    """
    counts = dict.fromkeys(OUTCOMES, 0)
    seconds = 0.0
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(FIELDS)
        for row in rows:
            locked = row if isinstance(row, LockRow) else lock_row(row)
            counts[locked.outcome] += 1
            seconds += locked.seconds if locked.outcome == ACCEPTED else 0.0
            writer.writerow([cell(getattr(locked, name)) for name in FIELDS])
    head = {"lock_version": LOCK_VERSION, "schema_version": SCHEMA_VERSION, "packages": _packages()}
    said = {**settings, **head, "clips": counts, "accepted_hours": round(seconds / 3600, 6)}
    write_text(companion(path), json.dumps(said, indent=2, sort_keys=True, default=str) + "\n")


def _packages() -> dict[str, str]:
    """Versions of what decides about pixels, samples, boxes and bytes."""
    import av

    found = {"ffmpeg " + name: ".".join(map(str, version)) for name, version in av.library_versions.items()}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def is_lock_header(names: Iterable[str]) -> bool:
    """Whether the columns of a CSV file are those of a lock (of any version)."""
    return "lock_version" in set(names)


def read_lock(path: Path) -> Lock:
    """Read and validate a lock. Raises `UserError` of one line, with line and column, at the first mistake."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = tuple(_rows(csv.reader(stream, strict=True), path))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); give a lock.csv") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not a CSV file in UTF-8") from error
    seen: dict[str, int] = {}
    for number, row in enumerate(rows, 2):
        if seen.setdefault(row.clip_id, number) != number:
            raise UserError(f"{path}, row {number - 1}: clip {shown(row.clip_id)} stands there twice")
    return Lock(path, rows, _read_settings(companion(path)))


def _read_settings(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not the companion of a lock ({error}); delete it or get it again") from error
    return found if isinstance(found, dict) else {}


def _rows(reader: Any, path: Path) -> Iterator[LockRow]:
    try:
        header = next(reader, None)
        if header is None or not is_lock_header(header):
            raise UserError(f"{path}: not a lock (its first line has no column lock_version); give a lock.csv")
        for cells in reader:
            if len(cells) != len(header):
                raise UserError(f"{path}, line {reader.line_num}: {len(cells)} values for {len(header)} columns")
            values = dict(zip(header, cells, strict=True))
            if values["lock_version"] != str(LOCK_VERSION):
                remedy = "use the version of disentbench that wrote it, or a newer one"
                versions = f"lock version {shown(values['lock_version'])}, this reads {LOCK_VERSION}"
                raise UserError(f"{path}, line {reader.line_num}: {versions}; {remedy}")
            if missing := [name for name in FIELDS if name not in values]:
                raise UserError(f"{path}, line 1: missing column {', '.join(missing)}")
            yield parse(values, f"{path}, line {reader.line_num}")
    except csv.Error as error:
        raise UserError(f"{path}, line {reader.line_num}: not CSV ({error})") from error


def lock_table(path: Path) -> pa.Table | None:
    """What a build takes in place of a manifest's table when `path` is a lock: a row for every accepted clip.

    The columns are those of `chdtf.schema.MANIFEST`, then `roi` (list<double>), `is_exact` (true) and `site_id`: the
    interval is one clip, the region is `roi`, null included. None when the file is no lock. Raises `UserError` as
    `read_lock` does.
    """
    try:
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as stream:
            if path.suffix.lower() != ".csv" or not is_lock_header(next(csv.reader([stream.readline(4096)]), [])):
                return None
    except OSError:
        return None  # whoever reads it as a manifest says what is wrong
    lock = read_lock(path)
    rows = _in_order(lock)
    if not rows:
        raise UserError(f"{path}: holds no accepted clip; there is nothing to make again")
    table = manifest_table(manifest_of_lock(lock))
    kind = pa.list_(pa.float64())
    roi = pa.array([None if row.roi is None else list(row.roi) for row in rows], kind)
    table = table.append_column(pa.field("roi", kind), roi)
    table = table.append_column(pa.field("is_exact", pa.bool_()), pa.array([True] * len(rows)))
    return table.append_column("site_id", pa.array([row.site_id or None for row in rows], pa.string()))


def _in_order(lock: Lock) -> list[LockRow]:
    """The accepted clips, sources together."""
    return sorted(lock.accepted(), key=lambda row: (row.source, row.start_s or 0.0, row.clip_id))


def manifest_of_lock(lock: Lock) -> list[ManifestRow]:
    """The manifest from which a lock's dataset is made again: one row for every accepted clip, sources together.

    A row a clip, not a row a video: only so are interval and crop of each clip exact, where a row of a whole video
    would be cut and tracked anew, by whatever versions are installed. Each row has `start_s`, `end_s`, `crop` and
    `sha256`; its `video_id` is the clip's id, so that the clip of the new dataset tells which one it repeats. A crop
    may lie beyond the frame, as in the lock.
    """
    return [
        ManifestRow(
            video_id=row.clip_id,
            url=row.url,
            start_s=row.start_s,
            end_s=row.end_s,
            speaker_id=row.speaker_id,
            language=row.language or "und",
            license=row.license or "unknown",
            split=row.split or None,
            crop=row.crop,
            sha256=row.source_sha256,
        )
        for row in _in_order(lock)
    ]
