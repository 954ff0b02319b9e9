"""What yt-dlp's sentences mean for a row. Each sentence is built as yt-dlp builds it, from its own exceptions."""

import errno
from typing import Any

import pytest
from yt_dlp.cookies import CookieLoadError
from yt_dlp.networking.exceptions import TransportError
from yt_dlp.utils import DownloadError, ExtractorError, GeoRestrictedError

from chdtf.errors import Reject, Transient, UserError
from pipelines.acquire.fetch_errors import Access, clean, meaning

LOGIN_HINT = (
    "Use --cookies-from-browser or --cookies for the authentication. See  https://github.com/yt-dlp/yt-dlp/wiki/FAQ"
    "#how-do-i-pass-cookies-to-yt-dlp  for how to manually pass cookies. Also see  https://github.com/yt-dlp/yt-dlp/wiki"
    "/Extractors#exporting-youtube-cookies  for tips on effectively exporting YouTube cookies"
)
RATE = (
    "This content isn't available, try again later. The current session has been rate-limited by YouTube for up to an "
    "hour. It is recommended to use `-t sleep` to add a delay between video requests to avoid exceeding the rate limit."
)

# sentence, its word, who may still get in: nobody ("never"), anybody "later", or whoever has "cookies" or a "proxy"
YOUTUBE = [
    (f"Private video. Sign in if you've been granted access to this video. {LOGIN_HINT}", "private", "never"),
    ("Video unavailable", "gone", "never"),
    ("Video unavailable. This video is not available", "gone", "never"),
    ("Video unavailable. This video is private", "private", "never"),
    ("Video unavailable. This video has been removed by the uploader", "gone", "never"),
    ("This video has been removed for violating YouTube's Community Guidelines", "gone", "never"),
    ("This video has been removed for violating YouTube's Terms of Service", "gone", "never"),
    (
        "Video unavailable. This video is no longer available because the YouTube account associated with this video "
        "has been terminated.",
        "gone",
        "never",
    ),
    (
        "Video unavailable. This video is no longer available because the uploader has closed their YouTube account.",
        "gone",
        "never",
    ),
    ("Video unavailable. This video is no longer available due to a copyright claim by X", "gone", "never"),
    (
        "Video unavailable. This video contains content from SME, who has blocked it on copyright grounds",
        "gone",
        "never",
    ),
    ("This video isn't available anymore", "gone", "never"),
    ("This live stream recording is not available.", "gone", "never"),
    (f"Sign in to confirm you’re not a bot. {LOGIN_HINT}", "bot_check", "later"),
    ("All player responses are invalid. Your IP is likely being blocked by Youtube", "bot_check", "later"),
    ("Video unavailable. YouTube is requiring a captcha challenge before playback", "bot_check", "later"),
    (RATE, "rate_limited", "later"),
    (
        f"Sign in to confirm your age. This video may be inappropriate for some users. {LOGIN_HINT}",
        "age_restricted",
        "cookies",
    ),
    ("This video is age-restricted and only available on YouTube", "age_restricted", "cookies"),
    (
        "Join this channel to get access to members-only content like this video, and other exclusive perks.",
        "needs_login",
        "cookies",
    ),
    ("This video is only available to Music Premium members", "needs_login", "cookies"),
    ("This video requires payment to watch", "needs_login", "cookies"),
    (f"Please sign in. {LOGIN_HINT}", "needs_login", "cookies"),
    ("This live event will begin in 3 days.", "not_yet", "later"),
    ("Premieres in 2 hours", "not_yet", "later"),
    (
        "Video unavailable. This video contains content from UMG, who has blocked it in your country on copyright "
        "grounds",
        "geo_blocked",
        "proxy",
    ),
    ("The uploader has not made this video available in your country", "geo_blocked", "proxy"),
    ("This video is DRM protected", "drm", "never"),
    ("The following content is not available on this app. Watch on the latest version of YouTube", "failed", "later"),
    ("The page needs to be reloaded.", "failed", "later"),
]
BILIBILI = [
    ("You have exceeded the rate limit. Try again later", "rate_limited", "later"),
    (f"This video is only available for registered users. {LOGIN_HINT}", "needs_login", "cookies"),
    (f"This video is for premium members only. {LOGIN_HINT}", "needs_login", "cookies"),
    ("This is a supporter-only video: 专属视频，加入充电. Use --cookies", "needs_login", "cookies"),
    ("You need to purchase the course to download this episode", "needs_login", "cookies"),
    ("This course episode is not yet available.", "not_yet", "later"),
    (
        "This video may be deleted or geo-restricted. You might want to try a VPN or a proxy server (with --proxy)",
        "geo_blocked",
        "proxy",
    ),
    ("This video is not available from your location due to geo restriction", "geo_blocked", "proxy"),
    ("Request is blocked by server (412), please wait and try later.", "rate_limited", "later"),
    ("Unable to download video info: 401: x, please wait and try later", "rate_limited", "later"),
    ("Request is rejected by server (352)", "bot_check", "later"),
    ("Unable to download video info: 352: 风控校验失败, please wait and try later", "bot_check", "later"),
    ("Request failed (-404): 啥都木有", "failed", "later"),
]
CORE = [
    ("Unsupported URL: https://example.org/x", "not_a_video", "never"),
    (
        "file:// URLs are disabled by default in yt-dlp for security reasons. Use --enable-file-urls to enable",
        "local_not_allowed",
        "never",
    ),
    ('Unable to handle request: Unsupported url scheme: "rtsp" (urllib)', "bad_redirect", "never"),
    ("Requested format is not available. Use --list-formats for a list of available formats", "no_format", "never"),
    ("No video formats found!", "no_format", "never"),
    ("The channel is not currently live", "live", "never"),
    ("Downloaded 5 bytes, expected 9 bytes", "network", "later"),
    ("Did not get any data blocks", "network", "later"),
    (
        "Unable to extract title; please report this issue on  https://github.com/yt-dlp/yt-dlp/issues",
        "failed",
        "later",
    ),
]
EVERYTHING = Access(cookies=True, proxy=True)


def told(sentence: str, access: Access) -> Exception:
    return meaning(DownloadError(f"ERROR: [youtube] dQw4w9WgXcQ: {sentence}"), access)


@pytest.mark.parametrize(("sentence", "word", "who"), [*YOUTUBE, *BILIBILI, *CORE])
def test_a_sentence_has_one_word_and_is_final_only_when_nothing_given_could_change_it(
    sentence: str, word: str, who: str
):
    for access in (Access(), Access(cookies=True), Access(proxy=True), EVERYTHING):
        found = told(sentence, access)
        may_pass = who == "later" or (who in ("cookies", "proxy") and not getattr(access, who))
        assert type(found) is (Transient if may_pass else Reject), found
        first = str(found).partition(":")[0]
        assert first == word or (not may_pass and (word, first) == ("needs_login", "private"))
        assert "\n" not in str(found)
        assert "github.com" not in str(found)  # advice to yt-dlp's users is not ours


def test_what_would_help_is_said():
    assert "--cookies FILE" in str(told("Sign in to confirm you’re not a bot", Access()))
    assert "--sleep-s" in str(told("Sign in to confirm you’re not a bot", Access(cookies=True)))
    assert "--cookies FILE" in str(told("Sign in to confirm your age", Access()))
    assert "--proxy" in str(told("The uploader has not made this video available in your country", Access()))


def test_a_restriction_to_some_countries_is_known_by_its_kind_of_error():
    with pytest.raises(GeoRestrictedError) as caught:
        raise GeoRestrictedError("X 在你的地区不可用", countries=["CN"])
    found = meaning(DownloadError("ERROR: X 在你的地区不可用", caught._excinfo))
    assert str(found).startswith("geo_blocked: ")


def test_no_formats_is_the_machines_fault_where_a_runtime_is_missing():
    error = DownloadError("ERROR: [youtube] x: Requested format is not available")
    assert isinstance(meaning(error, misses_runtime=False), Reject)
    assert str(meaning(error, misses_runtime=True)).startswith("no_js_runtime: ")


def nested(*chain: Exception) -> Exception:
    """Errors as yt-dlp wraps them: the last is what came first."""
    inner: Any = None
    for one in reversed(chain):
        one.__cause__, inner = inner, one
    return inner


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (nested(DownloadError("x"), TransportError("y"), TimeoutError("timed out")), Transient, "timed_out: "),
        (nested(DownloadError("ERROR: x"), TransportError("x"), ConnectionResetError("reset")), Transient, "network: "),
        (nested(DownloadError("x"), OSError(errno.ENOSPC, "No space left on device")), OSError, "[Errno 28]"),
        (nested(DownloadError("x"), CookieLoadError("no key")), UserError, "the cookies cannot be used"),
        (nested(ExtractorError("x"), Reject("too_long", "9 s")), Reject, "too_long: 9 s"),
    ],
)
def test_the_cause_decides_where_there_is_one(error: Exception, kind: type[Exception], said: str):
    found = meaning(error)
    assert isinstance(found, kind)
    assert str(found).startswith(said)


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (
            "\x1b[0;31mERROR:\x1b[0m [youtube] abc: Private video. Sign in if you've been granted access to this video",
            "Private video. Sign in if you've been granted access to this video",
        ),
        ("ERROR: \r[download] Got error: 5 bytes read, 7 more expected", "5 bytes read, 7 more expected"),
        (
            "ERROR: [generic] x: Unable to\nread; please report this issue on  https://x.org/y , filling",
            "Unable to read",
        ),
        (
            "ERROR: [generic] x: HTTP Error 404: Not Found (caused by <HTTPError 404: Not Found>)",
            "HTTP Error 404: Not Found",
        ),
        ("a\u202eb\x07c", "a b c"),
        ("a" * 500, "a" * 240 + "..."),
    ],
)
def test_messages_are_cleaned(said: str, shown: str):
    assert clean(said) == shown
