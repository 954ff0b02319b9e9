"""Clips that no leaderboard may count any more, because a tombstone stands for their source."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from benchmark.clip_score import ClipScore
from chdtf.tombstones import WORD, Tombstones

if TYPE_CHECKING:  # it imports scipy, which nothing here needs
    from chdtf.clip import Clip


def withdrawn_clips(clips: "Sequence[Clip]", tombstones: Tombstones) -> dict[str, str]:
    """Words by clip id (`tombstoned: ...`), of the clips whose source or content is on the list.

    They are neither generated nor scored; `is_withdrawn` tells their reason from others, and a table says how many they
    are without counting them as missing.
    """
    if not tombstones.entries:
        return {}
    found = {clip.clip_id: tombstones.blocks({"video_id": clip.video_id, **clip.scores()}) for clip in clips}
    return {clip_id: words for clip_id, words in found.items() if words is not None}


def is_withdrawn(reason: str | None) -> bool:
    """Whether a clip is not scored because it was withdrawn."""
    return reason is not None and reason.partition(":")[0] == WORD


def withdrawn_scores(scores: Iterable[ClipScore], tombstones: Tombstones, sources: Mapping[str, str]) -> dict[str, str]:
    """Words by clip id, of the clips of one data set that must not count in a table made of stored scores.

    A clip counts no more when any of the runs left it out, whatever the others scored, or when its source (`sources`:
    `video_id` by clip id) or its reference is on the list.
    """
    words: dict[str, str] = {}
    for score in scores:
        row = {"video_id": sources.get(score.clip_id), "video_sha256": score.reference_sha256}
        found = score.reason if is_withdrawn(score.reason) else tombstones.blocks(row)
        if found:
            words[score.clip_id] = min(words.get(score.clip_id, found), found)
    return words


def without_value(score: ClipScore, words: str) -> ClipScore:
    """The score of a clip that was withdrawn: null, with that as its reason."""
    return dataclasses.replace(score, value=None, values=None, reason=words, details={})
