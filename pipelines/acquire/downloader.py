"""yt-dlp, set up for one download and held to its limits. Importing this module imports yt-dlp."""

import logging
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yt_dlp
from yt_dlp.dependencies import Cryptodome
from yt_dlp.downloader import get_suitable_downloader
from yt_dlp.downloader.dash import DashSegmentsFD
from yt_dlp.downloader.f4m import F4mFD
from yt_dlp.downloader.hls import HlsFD
from yt_dlp.downloader.http import HttpFD
from yt_dlp.downloader.ism import IsmFD
from yt_dlp.networking import Request

from chdtf.errors import Reject
from pipelines.acquire import fetch_errors, guard
from pipelines.acquire.containers import CONTAINERS, refuse_unsafe
from pipelines.acquire.playlists import refuse_endless_hls

if TYPE_CHECKING:
    from pipelines.acquire.fetch import Limits, Network

log = logging.getLogger(__name__)

JS_RUNTIMES = ("deno", "node", "quickjs", "bun")  # in the order of yt-dlp's preference
_LIST = "not_a_video", "the address leads to a list of videos; give the address of one"
_NATIVE = (HttpFD, HlsFD, DashSegmentsFD, IsmFD, F4mFD)  # they go through the guarded network; others start programs


class Downloader(yt_dlp.YoutubeDL):
    """A `YoutubeDL` that reaches public addresses only, names files itself and starts no program on an address.

    `folder` None: it only looks. Attributes: `began` (a byte of the video has come), `misses_runtime`.
    """

    def __init__(self, folder: Path | None, limits: "Limits", network: "Network", ffmpeg: str, until: float) -> None:
        self._folder = folder
        self._limits = limits
        self._until = until
        self._rules = guard.Rules(network.allow_local, until)
        self.began = False
        self._log = _Log()
        super().__init__(_options(limits, network, ffmpeg) | {"progress_hooks": [self._watch], "logger": self._log})
        self.params["match_filter"] = self.check

    @property
    def misses_runtime(self) -> bool:
        """Whether yt-dlp missed a JavaScript runtime."""
        return self._log.misses_runtime

    def prepare_filename(self, info_dict: dict[str, Any], *_args: Any, **_kwargs: Any) -> str:
        """A name of our own: a template would expand `$` and `%` in the folder's name, and invite titles into it."""
        suffix = str(info_dict.get("ext"))
        name = f"media.{suffix if re.fullmatch('[a-z0-9]{2,5}', suffix) else 'media'}"
        return str((self._folder or Path()) / name)

    def build_request_director(self, handlers: Any, preferences: Any = None) -> Any:
        """All requests go through the guarded handler, and no other."""
        return super().build_request_director([guard.handler(self._rules)], preferences)

    def save_cookies(self) -> None:
        """Leave the user's cookie file as it is."""

    def process_ie_result(self, ie_result: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """A list of videos ends here, before its entries are asked for."""
        if ie_result.get("_type", "video") not in ("video", "url", "url_transparent"):
            raise Reject(*_LIST)
        return super().process_ie_result(ie_result, *args, **kwargs)

    def dl(self, name: str, info: dict[str, Any], subtitle: bool = False, test: bool = False) -> Any:
        """Download one format, in this process."""
        chosen = get_suitable_downloader(info, self.params)
        if chosen not in _NATIVE:
            raise Reject("no_format", f"only as {str(info.get('protocol'))[:40]!r}, which needs another program")
        if chosen is HlsFD:
            self._check_hls(info)
        return super().dl(name, info, subtitle, test)

    def _check_hls(self, info: dict[str, Any]) -> None:
        """Read the playlist and refuse one that yt-dlp would hand to ffmpeg, address and all."""
        answer = self.urlopen(Request(info["url"], headers=info.get("http_headers") or {}))
        text = answer.read().decode("utf-8", "ignore")
        refuse_endless_hls(text)
        if HlsFD._has_drm(text):
            raise Reject("drm", "the video is protected by DRM")
        if not HlsFD.can_download(text, info) or ("#EXT-X-KEY:METHOD=AES-128" in text and not Cryptodome.AES):
            raise Reject("no_format", "its stream is encrypted or live, which needs another program")
        info["url"], info["hls_media_playlist_data"] = answer.url, text  # not asked for again

    def check(self, info: dict[str, Any], *, incomplete: bool = False) -> None:
        """Refuse a video by what is known of it before it is downloaded. Raises `Reject` or `Transient`."""
        if info.get("playlist_index") is not None:
            raise Reject(*_LIST)
        state = info.get("live_status")
        if state in ("is_upcoming", "post_live"):
            raise fetch_errors.transient("not_yet", f"not broadcast, or not processed yet; {fetch_errors.AGAIN} later")
        if state == "is_live" or info.get("is_live"):
            raise Reject("live", "a live stream has no end yet")
        length_s, longest_s = info.get("duration"), self._limits.max_duration_s
        if length_s and length_s > longest_s:
            raise Reject("too_long", f"{length_s:.0f} s, the limit is {longest_s:.0f} s")
        if self._log.misses_formats:
            raise fetch_errors.no_runtime()  # a worse picture than the video has would be taken, and kept

    def _watch(self, status: dict[str, Any]) -> None:
        """Called with every block: ends a download that is too large or takes too long."""
        self.began = True
        size = max(status.get("total_bytes") or 0, status.get("downloaded_bytes") or 0)
        if size > self._limits.max_bytes:
            raise Reject("too_large", f"{size} bytes, the limit is {self._limits.max_bytes}")
        if status.get("status") == "finished":
            refuse_unsafe(Path(status["filename"]))  # before ffmpeg opens it to join picture and sound
        elif time.monotonic() > self._until:
            raise fetch_errors.transient(
                "timed_out",
                f"the download took longer than {self._limits.deadline_s:g} s; the next run goes on from there",
            )


def _options(limits: "Limits", network: "Network", ffmpeg: str) -> dict[str, Any]:
    from pipelines.acquire.fetch import _pause_s

    browser, _, profile = network.cookies_from_browser.partition(":")
    safely = ["-protocol_whitelist", "file", "-format_whitelist", CONTAINERS]
    options: dict[str, Any] = {
        # the smaller side counts, so that portrait video is not starved; above the limit only where nothing is below
        "format_sort": [f"res:{limits.max_height}"],
        "ffmpeg_location": ffmpeg,
        "hls_prefer_native": True,
        "external_downloader_args": {"ffmpeg_i": ["-protocol_whitelist", "file"]},  # were it started, it gets nowhere
        "postprocessor_args": {"merger+ffmpeg_i": safely},
        "fixup": "never",  # the file as it came; what is wrong with its timestamps is dealt with on decoding
        "noplaylist": True,
        "skip_unavailable_fragments": False,  # a hole in the middle is not a download
        "socket_timeout": limits.silence_s,
        "retries": limits.retries,
        "fragment_retries": limits.retries,
        "extractor_retries": limits.retries,
        "retry_sleep_functions": {"http": _pause_s, "fragment": _pause_s},
        "js_runtimes": {name: {} for name in JS_RUNTIMES},  # whichever is there, for YouTube
        "geo_bypass": False,  # no invented addresses
        "cachedir": False,
        "updatetime": False,
        "quiet": True,
        "noprogress": True,
        "color": "never",
    }
    given = {
        "cookiefile": network.cookies or None,
        "cookiesfrombrowser": (browser, profile or None, None, None) if browser else None,
        "proxy": network.proxy or None,
        "ratelimit": network.rate_limit_bytes_s or None,
        "sleep_interval_requests": network.sleep_s or None,
    }
    return options | {name: value for name, value in given.items() if value is not None}


class _Log:
    """yt-dlp's talk goes to the log; what it calls errors are also raised, and told once."""

    def __init__(self) -> None:
        self.misses_runtime = False
        self.misses_formats = False

    def debug(self, message: str) -> None:
        log.debug("%s", fetch_errors.clean(message))

    info = error = debug

    def warning(self, message: str) -> None:
        if fetch_errors.is_runtime_warning(message):
            self.misses_runtime = True
            self.misses_formats |= "solving failed" in message
        self.debug(message)
