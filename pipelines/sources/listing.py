"""Lists of videos through yt-dlp: a search, a channel or a playlist, looked at and not downloaded.

Importing this module imports yt-dlp.
"""

import logging
import time
from collections.abc import Sequence
from typing import Any

import yt_dlp
from yt_dlp.utils import YoutubeDLError

from pipelines.acquire import fetch_errors, guard
from pipelines.acquire.fetch import Network

log = logging.getLogger(__name__)

SEARCHES = {"youtube": "ytsearch", "bilibili": "bilisearch"}  # yt-dlp's own prefixes
DEADLINE_S = 300.0  # for one list
_SILENCE_S = 30.0


class _Lister(yt_dlp.YoutubeDL):
    """A `YoutubeDL` that reaches public addresses only, and leaves the user's cookies as they are."""

    def __init__(self, network: Network, count: int) -> None:
        self._rules = guard.Rules(network.allow_local, time.monotonic() + DEADLINE_S)
        super().__init__(_options(network, count))

    def build_request_director(self, handlers: Any, preferences: Any = None) -> Any:
        return super().build_request_director([guard.handler(self._rules)], preferences)

    def save_cookies(self) -> None:
        return None


def list_videos(address: str, count: int, network: Network) -> Sequence[dict[str, Any]]:
    """The first `count` entries of a list as yt-dlp gives them without opening them (`extract_flat`).

    `address` is a web address, or a search such as `ytsearch50:words`. An entry holds `url`, and `id`, `title`,
    `uploader`, `duration` (seconds) as far as the list says. All of it is other people's text. Raises `Reject`,
    `Transient`, or `UserError` for cookies that cannot be used.
    """
    info = _extracted(address, network, count)
    return [entry for entry in info.get("entries") or () if isinstance(entry, dict)]


def describe(url: str, network: Network) -> dict[str, Any]:
    """What the page of one video says of it; nothing is downloaded. Raises as `list_videos` does."""
    return _extracted(url, network, 1, process=False)


def _extracted(address: str, network: Network, count: int, process: bool = True) -> dict[str, Any]:
    try:
        with _Lister(network, count) as lister:
            found: dict[str, Any] = lister.extract_info(address, download=False, process=process) or {}
            if process and "entries" in found:
                found["entries"] = list(found["entries"])
            return found
    except YoutubeDLError as error:
        raise fetch_errors.meaning(error, network.access) from error


def _options(network: Network, count: int) -> dict[str, Any]:
    browser, _, profile = network.cookies_from_browser.partition(":")
    return {
        "extract_flat": "in_playlist",
        "skip_download": True,
        "playlistend": count,
        "socket_timeout": _SILENCE_S,
        "extractor_retries": 2,
        "cookiefile": network.cookies or None,
        "cookiesfrombrowser": (browser, profile or None, None, None) if browser else None,
        "proxy": network.proxy or None,
        "sleep_interval_requests": network.sleep_s or None,
        "geo_bypass": False,
        "cachedir": False,
        "quiet": True,
        "noprogress": True,
        "color": "never",
        "logger": _Log(),
    }


class _Log:
    """yt-dlp's talk goes to the log; what it calls errors are also raised."""

    def debug(self, message: str) -> None:
        log.debug("%s", fetch_errors.clean(message))

    info = warning = error = debug
