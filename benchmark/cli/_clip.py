"""One clip by its id, for the verbs that look at one."""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from chdtf.clip import Clip

T = TypeVar("T")
_SHOWN = 5


def find_clip(root: Path, clip_id: str | None) -> "Clip":
    """The clip of a published dataset; without an id the only one. Raises `UserError` as `choose` does."""
    from chdtf.clip import read_clips

    return choose({clip.clip_id: clip for clip in read_clips(root)}, clip_id, root)


def choose(clips: Mapping[str, T], clip_id: str | None, where: Path) -> T:
    """The clip of that id; without an id the only one.

    Raises `UserError`, with the nearest ids, when there is no such clip, or the id is missing.
    """
    from chdtf.errors import UserError

    if clip_id is not None and clip_id in clips:
        return clips[clip_id]
    if clip_id is None and len(clips) == 1:
        return next(iter(clips.values()))
    few = ", ".join(list(clips)[:_SHOWN]) + (", ..." if len(clips) > _SHOWN else "")
    if clip_id is None:
        raise UserError(f"{where}: holds {len(clips)} clips; choose one with --clip: {few}")
    near = difflib.get_close_matches(clip_id, clips, n=3, cutoff=0.5)
    raise UserError(
        f"{where}: no clip {clip_id!r}; " + (f"did you mean {', '.join(near)}?" if near else f"it has {few}")
    )
