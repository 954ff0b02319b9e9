"""Bounds on streaming playlists: some bytes of one can ask for any number of pieces."""

import math
import re

from chdtf.errors import Reject

MAX_SEGMENTS = 100_000  # 55 hours in pieces of 2 s

_REPEAT = re.compile(rb"""\br\s*=\s*["'](\d+)["']""")
_DURATION = re.compile(rb"""\b(?:mediaPresentationDuration|duration)\s*=\s*["']P([^"']{1,60})["']""")
_PART = re.compile(rb"(\d+(?:\.\d+)?)([DHMS])")
_TEMPLATE = re.compile(rb"<[^<>]*\bduration\s*=\s*[\"'](\d+)[\"'][^<>]*>")
_TIMESCALE = re.compile(rb"""\btimescale\s*=\s*["'](\d+)["']""")
_ADDRESS_LINE = re.compile(r"^[ \t]*[^#\s]", re.MULTILINE)
_SECONDS = {b"D": 86400.0, b"H": 3600.0, b"M": 60.0, b"S": 1.0}


def refuse_endless_dash(page: bytes) -> None:
    """Raise `Reject("too_long")` when a DASH manifest stands for more than `MAX_SEGMENTS` pieces.

    yt-dlp writes out every repetition of a piece before anything can be asked about the video.
    """
    if b"<MPD" not in page[:4096]:
        return
    count = float(sum(int(number[:18]) for number in _REPEAT.findall(page)))
    length_s = max((_seconds(text) for text in _DURATION.findall(page)), default=0.0)
    for tag in _TEMPLATE.finditer(page):
        scale = _TIMESCALE.search(tag[0])
        piece_s = int(tag[1][:18]) / max(int(scale[1][:18]) if scale else 1, 1)
        count += length_s / piece_s if piece_s else math.inf
    _refuse_many(count)


def refuse_endless_hls(playlist: str) -> None:
    """Raise `Reject("too_long")` when an HLS playlist has more than `MAX_SEGMENTS` pieces."""
    _refuse_many(sum(1 for _ in _ADDRESS_LINE.finditer(playlist)))


def _seconds(text: bytes) -> float:
    return sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text))


def _refuse_many(count: float) -> None:
    if count > MAX_SEGMENTS:
        raise Reject("too_long", f"a playlist of {count:.0f} pieces, the limit is {MAX_SEGMENTS}")
