"""Clips that no leaderboard may count any more, because a tombstone stands for their source."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

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
