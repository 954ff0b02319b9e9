"""One line of a manifest, and what makes it valid."""

import dataclasses
import math
import re
from urllib.parse import urlsplit

from chdtf.columns import Row
from chdtf.schema import SPLITS

Crop = tuple[float, float, float, float]
Mistake = tuple[str, str]  # column, what is wrong with it and what is allowed

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
_LANGUAGE = re.compile(r"(?:[A-Za-z]{2,3}|x(?=-))(?:-[A-Za-z0-9]{1,8})*")
_SHA256 = re.compile(r"[0-9A-Fa-f]{64}")
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_SHOWN = 80


@dataclasses.dataclass(frozen=True, slots=True)
class ManifestRow:
    """One source video, or the part of it from `start_s` to `end_s`; columns as in `chdtf.schema.MANIFEST`.

    Attributes:
        video_id: name in every table and file: letters, digits, `_`, `-`, at most 128, the first a letter or digit.
        url: `http:`, `https:` or `file:`; a relative `file:` URL counts from the manifest's folder, percent-encoded.
        start_s: seconds from the beginning of the source, or None for its beginning.
        end_s: seconds from the beginning of the source, or None for its end.
        speaker_id: who speaks; splits never share a speaker.
        language: BCP 47 tag, `und` when unknown.
        license: the source's licence in the manifest author's words.
        split: `train`, `val` or `test`, or None to derive it from the speaker (`chdtf.splits`).
        crop: x0, y0, x1, y1 as fractions of the frame, or None to track the face.
        sha256: hex SHA-256 of the source file, or None.

    """

    video_id: str
    url: str
    start_s: float | None = None
    end_s: float | None = None
    speaker_id: str = ""
    language: str = "und"
    license: str = "unknown"
    split: str | None = None
    crop: Crop | None = None
    sha256: str | None = None

    def as_row(self) -> Row:
        """The row that the first stage gets: a dictionary with the columns of `chdtf.schema.MANIFEST`."""
        return {name: getattr(self, name) for name in FIELDS}


FIELDS = tuple(field.name for field in dataclasses.fields(ManifestRow))
REQUIRED = ("video_id", "url", "speaker_id", "language", "license")


def shown(value: object) -> str:
    """A value as a message shows it: quoted, one line, not endless."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def find_mistake(row: ManifestRow) -> Mistake | None:
    """The first mistake in one row, without regard to other rows; None when it is valid."""
    return _text_mistake(row) or _time_mistake(row) or _rest_mistake(row)


def _text_mistake(row: ManifestRow) -> Mistake | None:
    for name in REQUIRED:
        value = getattr(row, name)
        if not value or not value.strip():
            return name, "is empty; a value is required"
        if _UNPRINTABLE.search(value):
            return name, f"{shown(value)} holds a control character or a line break; remove it"
    if not _ID.fullmatch(row.video_id):
        allowed = "letters, digits, '_' and '-' (at most 128, the first a letter or digit)"
        return "video_id", f"{shown(row.video_id)} is not an id; allowed are {allowed}"
    if not _LANGUAGE.fullmatch(row.language):
        hint = row.language.replace("_", "-")
        like = f"did you mean {hint!r}?" if _LANGUAGE.fullmatch(hint) else "such as 'zh', 'cmn-Hans-CN', 'en-US'"
        return "language", f"{shown(row.language)} is not a BCP 47 tag; {like} ('und' when unknown)"
    wrong = _url_mistake(row.url)
    return ("url", f"{shown(row.url)} {wrong}") if wrong else None


def _url_mistake(url: str) -> str | None:
    scheme, colon, rest = url.partition(":")
    scheme = scheme.lower()
    if not colon or scheme not in ("http", "https", "file"):
        return "is not a URL with one of the schemes http, https, file (a local file: file:folder/name.mp4)"
    if scheme == "file":
        if rest.startswith("//") and not rest.lower().startswith(("///", "//localhost/")):
            return "names a host; write file:folder/name.mp4 or file:///folder/name.mp4"
        return "names no file" if not rest.strip("/") or "%00" in rest else None
    try:
        parts = urlsplit(url)
        if parts.hostname and (parts.port is None or parts.port) and " " not in url:
            return None
    except ValueError:
        pass
    return "is not a complete web address, such as https://host/path"


def _time_mistake(row: ManifestRow) -> Mistake | None:
    for name, value in (("start_s", row.start_s), ("end_s", row.end_s)):
        if value is not None and not (math.isfinite(value) and value >= 0):
            return name, f"{shown(value)} is not a time; give seconds from the beginning, 0 or more"
    if row.end_s is not None and row.end_s <= (row.start_s or 0.0):
        return "end_s", f"{shown(row.end_s)} is not after start_s {row.start_s or 0.0!r}"
    return None


def _rest_mistake(row: ManifestRow) -> Mistake | None:
    if row.split is not None and row.split not in SPLITS:
        return "split", f"{shown(row.split)} is not a split; allowed are {', '.join(SPLITS)}, or nothing"
    if row.sha256 is not None and not _SHA256.fullmatch(row.sha256):
        return "sha256", f"{shown(row.sha256)} is not a SHA-256; give 64 hexadecimal digits, or nothing"
    if row.crop is not None:
        x0, y0, x1, y1 = row.crop
        if not (0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1):
            text = " ".join(map(repr, row.crop))
            return "crop", f"{text!r} is not a box; give x0 y0 x1 y1 as fractions of the frame, 0 <= x0 < x1 <= 1"
    return None
