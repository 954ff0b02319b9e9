"""One download through yt-dlp's Python API: a video's web page or a direct link becomes one file in a folder.

Errors come out as what they mean for the row: `Reject` (asking again changes nothing), `Transient` (it may), or the
`OSError` of a full disk.
"""

import dataclasses
import errno
import logging
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from chdtf.errors import Reject, Transient, is_disk_full

log = logging.getLogger(__name__)

_COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_NOISE = re.compile(
    r";? *(please report this issue on|\(caused by|Confirm you are on the latest|See +https?://).*", re.DOTALL
)
_PREFIX = re.compile(r"(ERROR:\s*)?(\[[\w:.+-]+\]\s+(\S+: +)?)?(Got error: +)?")
_LONGEST_TEXT = 240

_GONE = re.compile(
    r"private video|video (is )?(unavailable|private|not found)|(has been|was) (removed|deleted|taken down)"
    r"|no longer (available|exists)|account .*(terminated|closed)|(page|video) does(n't| not) exist",
    re.IGNORECASE,
)
_GONE_STATUS = (404, 410, 451)
_FINAL = (  # what yt-dlp says, the reason's word, its detail
    ("requested format is not available", "no_format", "the page has no format with both picture and sound"),
    ("drm protected", "drm", "the video is protected by DRM"),
    ("file:// urls are disabled", "local_not_allowed", "the address leads to a local file"),
    ("unusual and will be skipped", "not_a_video", "the address leads to a file that is no video"),
    ("unsupported url", "not_a_video", "no video behind this address"),
)
_LIST = "not_a_video", "the address leads to a list of videos; give the address of one"
_STATUS = {401: "it wants a login", 403: "it refuses access", 429: "too many requests"}


@dataclasses.dataclass(frozen=True)
class Limits:
    """How much and how long: smaller side of the picture in px, bytes, seconds without data, seconds in all, tries."""

    max_height: int
    max_bytes: int
    timeout_s: float
    deadline_s: float
    retries: int


def fetch(url: str, folder: Path, limits: Limits, ffmpeg: str) -> Path:
    """Download the video at `url` into `folder` (made when missing) and return the file's path.

    A download that was cut off leaves its part in the folder, and the next call goes on from there where the server
    lets it. No name or title from the network becomes part of a path. Raises `Reject`, `Transient`, or `OSError` when
    the disk is full.
    """
    folder.mkdir(parents=True, exist_ok=True)
    from yt_dlp.utils import YoutubeDLError

    with _downloader(folder, limits, ffmpeg) as downloader:
        try:
            info = downloader.extract_info(url)
        except YoutubeDLError as error:
            raise _meaning(error) from error
    if not info or info.get("entries") is not None:
        raise Reject(*_LIST)
    files = [Path(done["filepath"]) for done in info.get("requested_downloads") or ()]
    if len(files) != 1 or not files[0].is_file():
        raise Transient("the download ended without a file")
    return files[0]


def _downloader(folder: Path, limits: Limits, ffmpeg: str) -> Any:
    import yt_dlp

    class Downloader(yt_dlp.YoutubeDL):
        """Names files itself: a template would expand `$` and `%` in the folder's name, and invite titles into it."""

        def prepare_filename(self, info_dict: dict[str, Any], *_args: Any, **_kwargs: Any) -> str:
            suffix = str(info_dict.get("ext"))
            return str(folder / f"media.{suffix if re.fullmatch('[a-z0-9]{2,5}', suffix) else 'media'}")

    return Downloader(_options(limits, ffmpeg))


def _options(limits: Limits, ffmpeg: str) -> dict[str, Any]:
    return {
        # the smaller side counts, so that portrait video is not starved; above the limit only where nothing is below
        "format_sort": [f"res:{limits.max_height}"],
        "ffmpeg_location": ffmpeg,
        "noplaylist": True,
        "extract_flat": "in_playlist",
        "skip_unavailable_fragments": False,  # a hole in the middle is not a download
        "socket_timeout": limits.timeout_s,
        "retries": limits.retries,
        "fragment_retries": limits.retries,
        "extractor_retries": limits.retries,
        "retry_sleep_functions": {"http": _pause_s, "fragment": _pause_s},
        "progress_hooks": [_Watch(limits)],
        "match_filter": _refuse,
        "js_runtimes": {name: {} for name in ("deno", "node", "bun", "quickjs")},  # whichever is there, for YouTube
        "cachedir": False,
        "updatetime": False,
        "quiet": True,
        "noprogress": True,
        "color": "never",
        "logger": _Log(),
    }


def _pause_s(n: int) -> float:
    return min(2.0**n, 30.0)


def _refuse(info: dict[str, Any], *, incomplete: bool = False) -> None:
    """Asked about every video before it is downloaded, with what is known of it by then."""
    if info.get("playlist_index") is not None:
        raise Reject(*_LIST)
    if info.get("live_status") in ("is_live", "is_upcoming") or info.get("is_live"):
        raise Reject("live", "a live stream has no end yet")


class _Watch:
    """Called with every block: ends a download that is too large or takes too long."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._until = time.monotonic() + limits.deadline_s

    def __call__(self, status: dict[str, Any]) -> None:
        size = max(status.get("total_bytes") or 0, status.get("downloaded_bytes") or 0)
        if size > self._limits.max_bytes:
            raise Reject("too_large", f"{size} bytes, the limit is {self._limits.max_bytes}")
        if time.monotonic() > self._until and status.get("status") == "downloading":
            raise Transient(
                f"the download took longer than {self._limits.deadline_s:g} s; the next run goes on from there"
            )


class _Log:
    """yt-dlp's talk goes to the log; what it calls errors are also raised, and told once."""

    def debug(self, message: str) -> None:
        log.debug("%s", clean(message))

    info = warning = error = debug


def clean(message: str) -> str:
    """What yt-dlp says as one line: no colour codes, prefixes, advice to yt-dlp's users, and not endless."""
    text = _NOISE.sub("", _PREFIX.sub("", _COLOUR.sub("", message).strip(), count=1))
    text = " ".join(text.split()).rstrip(" .;:")
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}..."


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and all that led to it, by every way in which yt-dlp keeps them."""
    todo: list[Any] = [error]
    seen: set[int] = set()
    while todo:
        one = todo.pop(0)
        if not isinstance(one, BaseException) or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        todo += [
            one.__cause__,
            one.__context__,
            getattr(one, "cause", None),
            (getattr(one, "exc_info", None) or [None])[-2:][0],
        ]


def _meaning(error: BaseException) -> Exception:
    """What an error of yt-dlp means for the row."""
    from yt_dlp.networking.exceptions import HTTPError, TransportError

    causes = list(_causes(error))
    text = clean(str(error))
    if any(map(is_disk_full, causes)) or "No space left on device" in str(error):
        return OSError(errno.ENOSPC, "No space left on device")
    for cause in causes:
        if isinstance(cause, HTTPError):
            return _meaning_of_status(cause.status, bool(cause.redirect_loop), text)
    if any(isinstance(cause, TransportError) for cause in causes):
        return Transient(f"the download failed ({text}); run the same command again")
    for said, reason, detail in _FINAL:
        if said in text.lower():
            return Reject(reason, detail)
    if _GONE.search(text):
        return Reject("gone", text)
    if "did not get any data" in text.lower():
        text = "the server sent nothing"
    return Transient(f"the download failed ({text or type(error).__name__}); run the same command again")


def _meaning_of_status(status: int, is_loop: bool, text: str) -> Exception:
    if status in _GONE_STATUS:
        return Reject("gone", f"the server answers {status}")
    if 300 <= status < 400 and not is_loop:
        return Reject("bad_redirect", f"the server answers {status} and leads to an address that is not of the web")
    why = _STATUS.get(status) or ("an error of its own" if status >= 500 else text)
    return Transient(f"the server answers {status}: {why}; run the same command again later")
