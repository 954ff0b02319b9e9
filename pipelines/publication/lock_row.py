"""One line of a lock: its columns, how it is made of a finished row, and how it is written and read as CSV."""

import dataclasses
import math
import re
from collections.abc import Mapping
from typing import Any

from chdtf.errors import UserError
from chdtf.manifest_row import Crop, shown
from chdtf.site_id import site_id

LOCK_VERSION = 1
ACCEPTED, REJECTED, FAILED = "accepted", "rejected", "failed"
OUTCOMES = (ACCEPTED, REJECTED, FAILED)
_FORMULA = re.compile(r"'*[=+\-@\t\r]")  # apostrophes before it are ours, or must be told from ours
_SHA256 = re.compile("[0-9a-f]{64}")


@dataclasses.dataclass(frozen=True, slots=True)
class LockRow:
    """One clip, or a video that gave none.

    Attributes:
        lock_version: of this format.
        clip_id, video_id: its names in the dataset that was locked.
        url, site_id: where the source is; `site_id` is empty for an address of no known site, both for a withdrawn one.
        start_s, end_s: seconds from the beginning of the source; None when it was refused before it was cut.
        crop: x0, y0, x1, y1 as fractions of the shown frame; may lie beyond it (the border is repeated there).
        roi: likewise the region of the source that was kept in memory and scaled down before the crop; None: the crop
            itself. It decides how pixels are resampled, so that the same clip has the same bytes again.
        speaker_id, language, license, split: as in the manifest.
        source_sha256, video_sha256, audio_sha256: hex SHA-256 of the source file and of the clip's two files, or None.
        num_frames: at 25 fps, or None.
        outcome: `accepted`, `rejected` or `failed`.
        reason: why not accepted, `word: detail`; empty when accepted.

    """

    lock_version: int
    clip_id: str
    video_id: str
    url: str
    site_id: str
    start_s: float | None
    end_s: float | None
    crop: Crop | None
    roi: Crop | None
    speaker_id: str
    language: str
    license: str
    split: str
    source_sha256: str | None
    video_sha256: str | None
    audio_sha256: str | None
    num_frames: int | None
    outcome: str
    reason: str

    @property
    def seconds(self) -> float:
        """Length of the clip; 0 where there is no interval."""
        return 0.0 if self.start_s is None or self.end_s is None else self.end_s - self.start_s

    @property
    def source(self) -> str:
        """What the source is known by: its site id, else its hash, else its address."""
        return self.site_id or self.source_sha256 or self.url

    def as_row(self) -> dict[str, Any]:
        """The columns that `chdtf.tombstones.Tombstones.blocks` looks at, and all others."""
        return {name: getattr(self, name) for name in FIELDS}


FIELDS = tuple(field.name for field in dataclasses.fields(LockRow))


def lock_row(row: Mapping[str, Any]) -> LockRow:
    """The lock's row of a finished one: columns of the stages, of `meta` or of `rejected.parquet`."""
    if row.get("kind"):  # rejected.parquet holds the words in three columns
        detail = row.get("detail")
        outcome, reason = row["kind"], f"{row['reason']}: {detail}" if detail else row["reason"]
    else:
        outcome = FAILED if row.get("error") else REJECTED if row.get("reject") else ACCEPTED
        reason = row.get("error") or row.get("reject") or ""
    start_s, end_s = row.get("clip_start_s"), row.get("clip_end_s")
    return LockRow(
        lock_version=LOCK_VERSION,
        clip_id=row["clip_id"],
        video_id=row["video_id"],
        url=row.get("url") or "",
        site_id=site_id(row.get("url") or "") or row.get("site_id") or "",
        start_s=None if start_s is None else float(start_s),
        end_s=None if end_s is None else float(end_s),
        crop=_fractions(row.get("box")),
        roi=_fractions(row.get("roi")),
        speaker_id=row.get("speaker_id") or "",
        language=row.get("language") or "",
        license=row.get("license") or "",
        split=row.get("split") or "",
        source_sha256=row.get("source_sha256"),
        video_sha256=row.get("video_sha256"),
        audio_sha256=row.get("audio_sha256"),
        num_frames=row.get("num_frames"),
        outcome=outcome,
        reason=" ".join(reason.split()),
    )


def _fractions(box: Any) -> Crop | None:
    return None if box is None else (float(box[0]), float(box[1]), float(box[2]), float(box[3]))


def cell(value: object) -> object:
    """A value as CSV text that reads back exactly, and that no spreadsheet takes for a formula."""
    if isinstance(value, str):
        return f"'{value}" if _FORMULA.match(value) else value
    if isinstance(value, tuple):
        return " ".join(map(repr, value))
    return repr(value) if isinstance(value, float) else value


def parse(cells: Mapping[str, str], place: str) -> LockRow:
    """The row of a line of CSV. Raises `UserError` that begins with `place` and names the column."""
    values: dict[str, Any] = {
        name: cells[name][1:] if cells[name].startswith("'") and _FORMULA.match(cells[name]) else cells[name]
        for name in FIELDS
    }
    name = ""
    try:
        for name in ("clip_id", "video_id", *(("url", "speaker_id") if cells["outcome"] == ACCEPTED else ())):
            if not values[name].strip():
                raise ValueError("is empty")
        for name in ("start_s", "end_s"):
            values[name] = _time(values[name])
        for name in ("crop", "roi"):
            values[name] = _crop(values[name])
        for name in ("source_sha256", "video_sha256", "audio_sha256"):
            values[name] = values[name].lower() or None
            if values[name] and not _SHA256.fullmatch(values[name]):
                raise ValueError("is not 64 hexadecimal digits")
        name = "num_frames"
        values[name] = int(values[name]) if values[name] else None
        name = "outcome"
        if values[name] not in OUTCOMES:
            raise ValueError(f"is none of {', '.join(OUTCOMES)}")
    except ValueError as error:
        raise UserError(f"{place}, column {name}: {shown(cells[name])}: {error}") from error
    return LockRow(**{**values, "lock_version": LOCK_VERSION})


def _time(text: str) -> float | None:
    value = float(text) if text else None
    if value is not None and not (math.isfinite(value) and value >= 0):
        raise ValueError("is not a time in seconds")
    return value


def _crop(text: str) -> Crop | None:
    if not text:
        return None
    numbers = [float(part) for part in text.split()]
    if (
        len(numbers) != 4
        or not all(map(math.isfinite, numbers))
        or not (numbers[0] < numbers[2] and numbers[1] < numbers[3])
    ):
        raise ValueError("is not a box x0 y0 x1 y1")
    return numbers[0], numbers[1], numbers[2], numbers[3]
