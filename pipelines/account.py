"""The account of a build: every row that came in is accepted, rejected or failed, and says why."""

import collections
import dataclasses
from collections.abc import Iterable, Mapping

from chdtf.columns import Row


def reason_of(words: str) -> str:
    """The short word before the colon of a `reject` or `error` column."""
    return words.partition(":")[0].strip()


@dataclasses.dataclass(frozen=True)
class Account:
    """Counts of a build, by video (a row of the manifest) and by clip.

    A video is accepted when one of its clips is; else failed when one of its rows failed, which the next run tries
    again; else rejected. So `accepted + rejected + failed == rows_in`. A video that was refused before it was cut
    counts as one refused clip.
    """

    rows_in: int
    accepted: int
    rejected: int
    failed: int
    clips_accepted: int
    clips_rejected: int
    clips_failed: int
    reasons: Mapping[str, int]  # rejected clips by reason
    failures: Mapping[str, int]  # failed clips by the first word of their error


def account(rows: Iterable[Row]) -> Account:
    """Count rows, of which only `video_id`, `reject` and `error` are looked at."""
    videos: dict[str, set[str]] = collections.defaultdict(set)
    reasons: collections.Counter[str] = collections.Counter()
    failures: collections.Counter[str] = collections.Counter()
    accepted = 0
    for row in rows:
        if row["error"]:
            failures[reason_of(row["error"])] += 1
            videos[row["video_id"]].add("failed")
        elif row["reject"]:
            reasons[reason_of(row["reject"])] += 1
            videos[row["video_id"]].add("rejected")
        else:
            accepted += 1
            videos[row["video_id"]].add("accepted")
    first = [
        next(outcome for outcome in ("accepted", "failed", "rejected") if outcome in found) for found in videos.values()
    ]
    return Account(
        rows_in=len(videos),
        accepted=first.count("accepted"),
        rejected=first.count("rejected"),
        failed=first.count("failed"),
        clips_accepted=accepted,
        clips_rejected=reasons.total(),
        clips_failed=failures.total(),
        reasons=dict(sorted(reasons.items())),
        failures=dict(sorted(failures.items())),
    )
