"""What a process wrote where it must not: files below some folders, compared by size and time of change."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

_SKIPPED = {".git", "__pycache__"}
Snapshot = Mapping[str, tuple[int, int]]


def snapshot(places: Iterable[Path]) -> Snapshot:
    """Size and time of change of every file below the folders, and of files named themselves."""
    found: dict[str, tuple[int, int]] = {}
    for place in places:
        if place.is_file():
            status = place.stat()
            found[str(place)] = (status.st_size, status.st_mtime_ns)
        for folder, below, names in os.walk(place):
            below[:] = [name for name in below if name not in _SKIPPED]
            for name in names:
                path = Path(folder, name)
                status = path.lstat()
                found[str(path)] = (status.st_size, status.st_mtime_ns)
    return found


def differences(before: Snapshot, after: Snapshot) -> list[str]:
    """Files that came, went or changed."""
    return sorted(path for path in {*before, *after} if before.get(path) != after.get(path))
