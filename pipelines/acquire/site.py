"""What a web site says of a video: other people's text, kept as data, never part of a path or a command."""

import dataclasses
import json
import re
import unicodedata
from pathlib import Path
from typing import Any

from chdtf.files import write_text
from chdtf.site_id import named_site_id

LONGEST_TEXT = 300  # characters
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")  # turn text around


@dataclasses.dataclass(frozen=True)
class Site:
    """Columns of the download stage that the site states, null where it does not.

    Attributes:
        title: the video's title, one line, at most 300 characters.
        uploader: who put it there, likewise.
        site_license: the licence in the site's words, likewise.
        site_id: the site and its id of the video, such as "youtube:dQw4w9WgXcQ"; null for a direct link.

    """

    title: str | None = None
    uploader: str | None = None
    site_license: str | None = None
    site_id: str | None = None


def plain(value: object) -> str | None:
    """A text from the network as one line: no control characters, none that turn text around, not endless."""
    if not isinstance(value, str):
        return None
    kept = (
        " " if unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") else character
        for character in value
        if character not in _BIDI
    )
    text = " ".join("".join(kept).split())
    return text[:LONGEST_TEXT].rstrip() or None


def site_id(extractor: object, video_id: object) -> str | None:
    """Like "youtube:ID", as `chdtf.site_id` writes it; None without an id, or for one of unsafe characters."""
    site = str(extractor or "").lower()
    if site in ("", "generic", "html5mediaembed") or not re.fullmatch(r"[a-z0-9]{1,40}", site):
        return None
    if known := named_site_id(f"{site}:{video_id}"):
        return known
    return f"{site}:{video_id}" if isinstance(video_id, str) and _ID.fullmatch(video_id) else None


def site_of(info: dict[str, Any]) -> Site:
    """What yt-dlp's description of a video holds; of a direct link only the name of its file is known, and left out."""
    title = None if info.get("direct") else plain(info.get("title"))
    known = site_id(info.get("extractor_key"), info.get("id"))
    return Site(title, plain(info.get("uploader") or info.get("channel")), plain(info.get("license")), known)


def write_site(path: Path, site: Site) -> None:
    """Keep what the site said beside the file, for a run that finds the file already there."""
    write_text(path, json.dumps(dataclasses.asdict(site), ensure_ascii=False) + "\n")


def read_site(path: Path) -> Site | None:
    """What `write_site` wrote; None when it is missing or broken."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return Site(**{field.name: plain(found[field.name]) for field in dataclasses.fields(Site)})
    except (OSError, ValueError, KeyError, TypeError):
        return None
