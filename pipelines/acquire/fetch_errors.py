"""What a failed download means for its row, from what yt-dlp raises and says.

One rule decides between `Reject` and `Transient`: what something outside the fingerprint may change (time, cookies, a
proxy, a JavaScript runtime) is `Transient`, its word first and what to do last; a `Reject` stands until a setting or
the row changes. The sentences are those of yt-dlp's YouTube and Bilibili extractors and of its core.
"""

import dataclasses
import errno
import re
from collections.abc import Iterator
from typing import Any

from chdtf.errors import Reject, Transient, UserError, is_disk_full

AGAIN = "run the same command again"
GIVE_COOKIES = "give cookies of a browser that is logged in (--cookies FILE or --cookies-from-browser NAME)"

_COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_NOISE = re.compile(
    r";? *(please report this issue on|\(caused by|Confirm you are on the latest|See +https?://"
    r"|Use --cookies|Also see +https?://|For more information, refer to).*",
    re.DOTALL,
)
_PREFIX = re.compile(r"(ERROR:\s*)?(\[[\w:.+-]+\]\s+(\S+: +)?)?(Got error: +)?")
_LONGEST_TEXT = 240


@dataclasses.dataclass(frozen=True)
class Access:
    """What the user gave to get in with; what was refused all the same is final."""

    cookies: bool = False
    proxy: bool = False


@dataclasses.dataclass(frozen=True)
class _Said:
    """A sentence, its word, and when the row may be asked for again: "yes", "no", "cookies" or "proxy" when given."""

    pattern: re.Pattern[str]
    word: str
    again: str
    detail: str = ""  # instead of the site's own words


def _said(pattern: str, word: str, again: str, detail: str = "") -> _Said:
    return _Said(re.compile(pattern, re.IGNORECASE), word, again, detail)


# in this order: a private video also says "Sign in", a blocked one also says "unavailable"
_SENTENCES = (
    _said(r"not a bot|captcha|unusual traffic|IP is likely being blocked|\(352\)|: 352\b", "bot_check", "bot"),
    _said(r"rate.?limited|exceeded the rate limit|please wait and try later", "rate_limited", "yes"),
    _said(r"private video|video is private|is a private", "private", "no"),
    _said(
        r"confirm your age|age.restricted|age.verif|inappropriate for some users|verify your age",
        "age_restricted",
        "cookies",
    ),
    _said(
        r"(available|released?) in your (country|location|region)|from your location|geo.?restrict"
        r"|in your country on copyright|blocked it in your country",
        "geo_blocked",
        "proxy",
    ),
    _said(
        r"member.?s.only|join this channel|supporter.only|premium members|need to purchase|requires payment"
        r"|music premium|registered users|login (details|required)|you need to log ?in|sign in",
        "needs_login",
        "cookies",
    ),
    _said(
        r"(live event|premiere)s? will begin|premieres in|(has not|hasn't|not yet) (started|available)|begin in a few",
        "not_yet",
        "yes",
    ),
    _said(r"live (hls|dash) \w+ are not supported|not currently live|\bis live\b", "live", "no"),
    _said(r"drm.protected|unsupported drm", "drm", "no", "the video is protected by DRM"),
    _said(
        r"video (is )?(unavailable|not found|not available)|(has been|was|may be) (removed|deleted|taken down)"
        r"|(no longer|isn.t|is not|not) (available|exists?)\b(?! on this app)|account .*(terminated|closed|suspended)"
        r"|does(n.t| not) exist|on copyright grounds|copyright claim|violat(es|ing) youtube",
        "gone",
        "no",
    ),
    _said(r"file:// urls are disabled|scheme: .file", "local_not_allowed", "no", "the address leads to a local file"),
    _said(
        r"unsupported url scheme|unknown url type",
        "bad_redirect",
        "no",
        "it leads to an address that is not of the web",
    ),
    _said(r"unusual and will be skipped", "not_a_video", "no", "the address leads to a file that is no video"),
    _said(r"unsupported url", "not_a_video", "no", "no video behind this address"),
)
_NO_FORMAT = re.compile(r"requested format is not available|no video formats found|only images are available", re.I)
_NO_RUNTIME = re.compile(r"(signature|n challenge) solving failed|no supported javascript runtime", re.IGNORECASE)

_GONE_STATUS = (404, 410, 451)
_STATUS = {401: "needs_login", 403: "forbidden", 408: "timed_out", 425: "rate_limited", 429: "rate_limited"}
_WHY = {
    "needs_login": f"it wants a login; {GIVE_COOKIES}",
    "forbidden": f"it refuses access; {AGAIN} later, or {GIVE_COOKIES}",
    "timed_out": f"it waited too long; {AGAIN}",
    "rate_limited": f"too many requests; {AGAIN} later, with a larger --sleep-s",
    "server_error": f"an error of its own; {AGAIN} later",
}


def transient(word: str, detail: str) -> Transient:
    """A failure that may pass, as a row tells it."""
    return Transient(f"{word}: {detail}")


def no_runtime() -> Transient:
    """YouTube's formats could not be unlocked: a matter of this machine, not of the video."""
    return transient(
        "no_js_runtime",
        "YouTube's formats cannot be read without a JavaScript runtime; `disentbench doctor` says which",
    )


def clean(message: str) -> str:
    """What yt-dlp says as one line: no colour codes, prefixes, advice to yt-dlp's users, and not endless."""
    text = _NOISE.sub("", _PREFIX.sub("", _COLOUR.sub("", message).strip(), count=1))
    text = "".join(character if character.isprintable() else " " for character in text)
    text = " ".join(text.split()).rstrip(" .;:")
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}..."


def is_runtime_warning(message: str) -> bool:
    """Whether yt-dlp warns that it misses formats for want of a JavaScript runtime."""
    return bool(_NO_RUNTIME.search(message))


def causes(error: BaseException) -> Iterator[BaseException]:
    """The error and all that led to it, by every way in which yt-dlp keeps them."""
    todo: list[Any] = [error]
    seen: set[int] = set()
    while todo:
        one = todo.pop(0)
        if not isinstance(one, BaseException) or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        kept = getattr(one, "exc_info", None) or [None]
        todo += [
            one.__cause__,
            one.__context__,
            getattr(one, "cause", None),
            getattr(one, "reason", None),
            kept[-2:][0],
        ]


def meaning(error: BaseException, access: Access | None = None, misses_runtime: bool = False) -> Exception:
    """What an error of yt-dlp means for the row: `Reject`, `Transient`, `OSError` (disk full) or `UserError` (cookies).

    `misses_runtime` says that a JavaScript runtime was missed, so that a lack of formats says nothing of the video.
    """
    from yt_dlp.cookies import CookieLoadError
    from yt_dlp.utils import GeoRestrictedError

    chain = list(causes(error))
    text = clean(str(error))
    for cause in chain:
        if isinstance(cause, Reject | Transient | UserError):
            return cause
    if any(map(is_disk_full, chain)) or "No space left on device" in str(error):
        return OSError(errno.ENOSPC, "No space left on device")
    if any(isinstance(cause, CookieLoadError) for cause in chain) or "failed to load cookies" in text.lower():
        return UserError(f"the cookies cannot be used ({text}); give a cookies.txt in Netscape format, or none")
    if _NO_FORMAT.search(text):
        return no_runtime() if misses_runtime else Reject("no_format", "the page has no format with picture and sound")
    if any(isinstance(cause, GeoRestrictedError) for cause in chain):
        text = f"{text} (geo-restricted)"
    return _guarded(chain) or _sentence(text, access or Access()) or _network(chain, text)


def _guarded(chain: list[BaseException]) -> Exception | None:
    from pipelines.acquire.guard import PrivateAddressError, TooLargeError, TooSlowError

    for cause in chain:
        if isinstance(cause, PrivateAddressError):
            return Reject("private_address", clean(str(cause)))
        if isinstance(cause, TooLargeError):
            return Reject("too_large", clean(str(cause)))
        if isinstance(cause, TooSlowError):
            return transient("timed_out", f"the download took longer than it may; {AGAIN}, it goes on from there")
    return None


def _sentence(text: str, access: Access) -> Exception | None:
    for known in _SENTENCES:
        if not known.pattern.search(text):
            continue
        detail = known.detail or text
        if known.again == "yes":
            return transient(known.word, f"{detail}; {AGAIN} later")
        if known.again == "bot":
            hint = f"wait, and {AGAIN} with a larger --sleep-s" if access.cookies else GIVE_COOKIES
            return transient(known.word, f"{detail}; {hint}")
        if known.again == "cookies" and not access.cookies:
            return transient(known.word, f"{detail}; {GIVE_COOKIES}")
        if known.again == "proxy" and not access.proxy:
            return transient(known.word, f"{detail}; a proxy elsewhere may help (--proxy URL)")
        return Reject("private" if known.word == "needs_login" else known.word, detail)
    return None


def _network(chain: list[BaseException], text: str) -> Exception:
    from yt_dlp.networking.exceptions import HTTPError, TransportError

    for cause in chain:
        if isinstance(cause, HTTPError):
            return _meaning_of_status(cause, text)
    said = text or type(chain[0]).__name__
    if any(isinstance(cause, TimeoutError) for cause in chain) or "timed out" in text.lower():
        return transient("timed_out", f"{said}; {AGAIN}")
    if "did not get any data" in text.lower():
        return transient("network", f"the server sent nothing; {AGAIN}")
    if any(isinstance(cause, TransportError) for cause in chain) or re.search(r"Downloaded \d+ bytes, expected", text):
        return transient("network", f"{said}; {AGAIN}")
    return transient("failed", f"{said}; {AGAIN}, or update yt-dlp if it stays")


def _meaning_of_status(error: Any, text: str) -> Exception:
    status = int(error.status)
    if status in _GONE_STATUS:
        return Reject("gone", f"the server answers {status}")
    if 300 <= status < 400:
        if not error.redirect_loop:
            return Reject("bad_redirect", f"the server answers {status} and leads to an address that is not of the web")
        return transient("server_error", f"the server answers {status}: it leads in a circle; {AGAIN} later")
    word = _STATUS.get(status, "server_error")
    why = _WHY[word] if status in _STATUS or status >= 500 else f"{text}; {AGAIN} later"
    return transient(word, f"the server answers {status}: {why}")
