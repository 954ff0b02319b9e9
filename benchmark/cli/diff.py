"""Compare a dataset with a lock: what it has, what it misses and why."""

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from benchmark.cli._console import say


@dataclasses.dataclass(frozen=True)
class Command:
    """Say which clips of a lock a dataset has, and why the others are not there: gone, private, refused, cut or framed
    differently. Exit status 0: the same clips, byte for byte; 1: they differ.
    """

    lock: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="LOCK")]
    """The lock.csv that others published, or a dataset's folder."""
    dataset: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DATASET")]
    """A dataset's folder, or another lock.csv."""
    csv: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Write every clip with its status here."""

    def run(self) -> int:
        """Compare, and print counts and hours by status."""
        from pipelines.publication.diff import compare, open_lock, write_differences

        found = compare(open_lock(self.lock), open_lock(self.dataset))
        say(found.text())
        if self.csv is not None:
            write_differences(self.csv, found.clips)
            say(f"every clip: {self.csv}")
        return 0 if found.is_same else 1
