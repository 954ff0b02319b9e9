"""One download through yt-dlp's Python API: a video's web page or a direct link becomes one file in a folder.

Errors come out as what they mean for the row: `Reject` (asking again changes nothing), `Transient` (it may), or the
`OSError` of a full disk. yt-dlp is imported when it is needed.
"""

import dataclasses
import logging
import time
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from chdtf.errors import Reject, Transient, UserError
from pipelines.acquire.fetch_errors import Access, causes, meaning, transient
from pipelines.acquire.site import Site, site_of

log = logging.getLogger(__name__)

_PASSES_SOON = ("network:", "server_error:", "timed_out:")
_LONGEST_WAIT_S = 300.0  # that a server may ask for; a worker has other rows to do
_COOKIE_HEADS = ("# HTTP Cookie File", "# Netscape HTTP Cookie File")


@dataclasses.dataclass(frozen=True)
class Limits:
    """How much and how long.

    Attributes:
        max_height: px of the picture's smaller side.
        max_bytes: of one downloaded file.
        max_duration_s: of the video, as far as the site says before the download.
        silence_s: seconds without a byte before the server counts as silent.
        deadline_s: seconds for all of it.
        retries: further tries.

    """

    max_height: int
    max_bytes: int
    max_duration_s: float
    silence_s: float
    deadline_s: float
    retries: int


@dataclasses.dataclass(frozen=True)
class Network:
    """How to get there.

    Attributes:
        allow_local: whether addresses that are not public may be reached.
        cookies: a cookies.txt in Netscape format; it is only read. Empty: none.
        cookies_from_browser: name of a browser on this machine, with ":profile" if wanted. Empty: none.
        proxy: URL of a proxy. Empty: what the environment says.
        rate_limit_bytes_s: at most so many bytes per second; 0: as many as come.
        sleep_s: seconds between a site's requests.

    """

    allow_local: bool = False
    cookies: str = ""
    cookies_from_browser: str = ""
    proxy: str = ""
    rate_limit_bytes_s: int = 0
    sleep_s: float = 0.0

    @property
    def access(self) -> Access:
        """What was given to get in with."""
        return Access(bool(self.cookies or self.cookies_from_browser), bool(self.proxy))


@dataclasses.dataclass(frozen=True)
class Fetched:
    """A finished download: the file, and what its site says of it."""

    path: Path
    site: Site


def fetch(url: str, folder: Path, limits: Limits, network: Network, ffmpeg: str) -> Fetched:
    """Download the video at `url` into `folder` (made when missing).

    A download that was cut off leaves its part in the folder, and the next call goes on from there where the server
    lets it. Every request, redirect and piece goes through `pipelines.acquire.guard`. No name or title from the network
    becomes part of a path. What may pass soon is tried again within the deadline, after the time that the server names
    or 2, 4, 8, ... s. Raises `Reject`, `Transient`, `UserError` for cookies that cannot be used, or `OSError` when the
    disk is full.
    """
    folder.mkdir(parents=True, exist_ok=True)
    info, site = _tried(url, folder, limits, network, ffmpeg)
    files = [Path(done["filepath"]) for done in info.get("requested_downloads") or ()]
    if len(files) != 1 or not files[0].is_file():
        raise transient("failed", "the download ended without a file")
    return Fetched(files[0], site)


def look(url: str, limits: Limits, network: Network) -> Site:
    """What the site says of the video, without downloading it. Raises as `fetch` does."""
    return _tried(url, None, limits, network, "")[1]


def _tried(url: str, folder: Path | None, limits: Limits, network: Network, ffmpeg: str) -> tuple[dict[str, Any], Site]:
    from yt_dlp.utils import YoutubeDLError

    from pipelines.acquire.downloader import Downloader

    until = time.monotonic() + limits.deadline_s
    for attempt in range(limits.retries + 1):
        with Downloader(folder, limits, network, ffmpeg, until) as downloader:
            try:
                info = downloader.extract_info(url, download=folder is not None)
                if not info:
                    raise Reject("not_a_video", "no video behind this address")
                downloader.check(info)
                return info, site_of(info)
            except YoutubeDLError as error:
                found = meaning(error, network.access, downloader.misses_runtime)
                pause_s = _worth_waiting_s(error, found, attempt, downloader.began)
                if pause_s is None or attempt == limits.retries or time.monotonic() + pause_s > until:
                    raise found from error
        log.info("%s; again in %.0f s", found, pause_s)
        time.sleep(pause_s)
    raise AssertionError("unreachable")


def _worth_waiting_s(error: BaseException, found: Exception, attempt: int, began: bool) -> float | None:
    """Seconds after which to try again within this run; None: leave it to the next.

    yt-dlp itself repeats a download that has begun; here a page that did not come, and servers that name a time.
    """
    if not isinstance(found, Transient):
        return None
    asked_s = _retry_after_s(error)
    if asked_s is not None:
        return asked_s if asked_s <= _LONGEST_WAIT_S else None
    return _pause_s(attempt + 1) if str(found).startswith(_PASSES_SOON) and not began else None


def _retry_after_s(error: BaseException) -> float | None:
    """The header `Retry-After`, in seconds from now."""
    from yt_dlp.networking.exceptions import HTTPError

    for cause in causes(error):
        if isinstance(cause, HTTPError) and (text := cause.response.headers.get("Retry-After")):
            try:
                return max(
                    0.0, float(text) if text.isdigit() else parsedate_to_datetime(text).timestamp() - time.time()
                )
            except (ValueError, TypeError, OverflowError):
                return None
    return None


def _pause_s(n: int) -> float:
    return min(2.0**n, 30.0)


def check_cookies(path: Path) -> None:
    """Raise `UserError` unless the file is there and is a cookies.txt in the Netscape format."""
    try:
        with path.open(encoding="utf-8", errors="replace") as stream:
            head = stream.readline(200)
            lines = [line for _, line in zip(range(200), stream, strict=False) if line.strip()]
    except OSError as error:
        raise UserError(
            f"{path}: the cookies cannot be read ({error.strerror}); give a readable file, or none"
        ) from error
    if not head.startswith(_COOKIE_HEADS) and not any(line.count("\t") == 6 for line in (head, *lines)):
        raise UserError(
            f"{path}: is not a cookies.txt in Netscape format (its first line is '# Netscape HTTP Cookie File'); "
            "export it so, or use --cookies-from-browser"
        )
