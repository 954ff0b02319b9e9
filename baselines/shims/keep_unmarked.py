"""DreamTalk burns a mark into its video, and deletes the video without it: that one is kept.

Its own comment says to take the mark out for evaluation; with this shim its file need not be edited. It moves
`NAME.mp4` to `NAME.mp4-no_watermark.mp4`, has ffmpeg write `NAME.mp4` with the mark, and removes the first. Only that
removal, of a file of just such a name, is left out; both videos stay.
"""

from __future__ import annotations

import os
from typing import Any

SUFFIX = ".mp4-no_watermark.mp4"


def install() -> None:
    """Make `os.remove` pass over files that are named so."""
    remove = os.remove
    if getattr(remove, "keeps_unmarked", False):
        return

    def remove_others(path: Any, **named: Any) -> None:
        if not os.fsdecode(path).endswith(SUFFIX):
            remove(path, **named)

    remove_others.keeps_unmarked = True  # type: ignore[attr-defined]
    os.remove = remove_others
