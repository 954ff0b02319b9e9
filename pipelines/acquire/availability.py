"""What became of every source: which are there, and which are gone, private, blocked or out of reach, and why."""

import csv
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from types import MappingProxyType

from chdtf.columns import Row
from chdtf.files import atomic_path
from pipelines.account import reason_of

COLUMNS = ("video_id", "url", "site_id", "state", "detail")

AVAILABLE, UNKNOWN = "available", "unknown"
# the word before the colon of `reject` or `error` -> state; words that are missing here are their own state or unknown
_STATE = MappingProxyType(
    {
        "no_format": "not_a_video",
        "hash_mismatch": "changed",
        "unreadable": "damaged",
        "empty": "damaged",
        "too_large": "refused",
        "too_long": "refused",
        "bad_redirect": "refused",
        "private_address": "refused",
        "local_not_allowed": "refused",
        "timed_out": "network",
        "server_error": "network",
        "no_js_runtime": "this_machine",
        "local_unreadable": "this_machine",
        "tombstoned": "withdrawn",
    }
)
_OWN = (
    "gone",
    "private",
    "age_restricted",
    "geo_blocked",
    "needs_login",
    "bot_check",
    "rate_limited",
    "forbidden",
    "live",
    "not_yet",
    "drm",
    "not_a_video",
    "network",
)
STATES = (AVAILABLE, *_OWN, *sorted(set(_STATE.values()) - set(_OWN)), UNKNOWN)


def availability_rows(rows: Iterable[Row]) -> list[Row]:
    """One row a video with `COLUMNS`, in the order in which videos come; of each, its clips' rows may be many.

    `rows` are finished ones, of the last stage; looked at are `video_id`, `url`, `source`,
    `site_id`, `reject` and `error`. A video with a `source` is available, whatever later stages thought of it. `state`
    is one of `STATES`, `detail` the words of the site or server, null when the video is available.
    """
    found: dict[str, Row] = {}
    for row in rows:
        known = found.get(row["video_id"])
        if known is None or (known["state"] != AVAILABLE and row.get("source")):
            found[row["video_id"]] = _described(row)
    return list(found.values())


def _described(row: Row) -> Row:
    known = {name: row.get(name) for name in ("video_id", "url", "site_id")}
    if row.get("source"):
        return {**known, "state": AVAILABLE, "detail": None}
    said = row.get("reject") or row.get("error") or ""
    word = reason_of(said)
    state = _STATE.get(word, word if word in _OWN else UNKNOWN)
    detail = said if state == UNKNOWN else said.partition(":")[2].strip()
    return {**known, "state": state, "detail": detail or None}


def availability_counts(rows: Iterable[Row]) -> dict[str, int]:
    """Number of videos by state, those that occur, in the order of `STATES`; of what `availability_rows` gives."""
    counts = Counter(row["state"] for row in rows)
    return {state: counts[state] for state in STATES if counts[state]}


def write_availability(path: Path, rows: Iterable[Row]) -> None:
    """Write what `availability_rows` gives as CSV, whole or not at all.

    Details are other people's text: one that a spreadsheet would take for a formula begins with an apostrophe.
    """
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({**row, "detail": _inert(row["detail"] or "")})


def _inert(text: str) -> str:
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
