"""Overlay: a folder that looks like upstream's checkout with its weights in place, made anew for every clip.

Small files are copied and large ones linked, so that whatever upstream writes beside its own files stays in the
overlay; the checkout itself stays as it is. Python resolves links of scripts, so these are always copies.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Iterable, Mapping

LINK_FROM_BYTES = 1 << 20


def make_overlay(folder: Path, checkout: Path, files: Iterable[str], weights: Mapping[str, str]) -> None:
    """Lay out `files` of the checkout (paths relative to it) and `weights` (relative path -> file) below `folder`.

    A weight takes the place of a file of the same name. Raises `FileExistsError` when `folder` is there already.
    """
    folder.mkdir(parents=True)
    made = {folder}
    for name in files:
        if name not in weights:
            _put(checkout / name, folder / name, made)
    for name, source in weights.items():
        _put(Path(source), folder / name, made, link=True)


def _put(source: Path, target: Path, made: set[Path], link: bool = False) -> None:
    if target.parent not in made:
        target.parent.mkdir(parents=True, exist_ok=True)
        made.add(target.parent)
    if source.is_symlink() and not link:
        target.symlink_to(os.readlink(source))  # links within the checkout stay within the overlay
    elif link or (source.stat().st_size >= LINK_FROM_BYTES and source.suffix != ".py"):
        target.symlink_to(source.absolute())
    else:
        shutil.copy2(source, target)  # with its time of change, so that compiled modules are found again
