"""YouTube addresses: the id in a link, and the one form in which this project writes links."""

import re
from urllib.parse import parse_qs, urlsplit

YOUTUBE_ID = r"[A-Za-z0-9_-]{11}"

_ID = re.compile(YOUTUBE_ID)
_HOSTS = ("youtube.com", "www.youtube.com", "m.youtube.com", "music.youtube.com", "youtube-nocookie.com")
_FOLDERS = ("embed", "shorts", "v", "live")


def youtube_url(video_id: str) -> str:
    """The canonical address of a video. Raises `ValueError` unless `video_id` has the form of YouTube's ids."""
    if not _ID.fullmatch(video_id):
        raise ValueError(f"not a YouTube id: {video_id!r}")
    return f"https://www.youtube.com/watch?v={video_id}"


def youtube_id(text: str) -> str | None:
    """The id in an id or a link (`watch?v=`, `youtu.be/`, `embed/`, `shorts/`, whatever follows); None for others."""
    text = text.strip()
    if _ID.fullmatch(text):
        return text
    try:
        parts = urlsplit(text)
    except ValueError:
        return None
    if parts.scheme not in ("http", "https"):
        return None
    found = None
    path = parts.path.split("/")
    if parts.hostname == "youtu.be":
        found = path[1] if len(path) > 1 else None
    elif parts.hostname in _HOSTS or (parts.hostname or "").removeprefix("www.") in _HOSTS:
        found = path[2] if len(path) > 2 and path[1] in _FOLDERS else parse_qs(parts.query).get("v", [None])[0]
    return found if found and _ID.fullmatch(found) else None
