"""Remove all that derives from one source, from a dataset and from results, and keep it out."""

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from benchmark.cli._console import say


@dataclasses.dataclass(frozen=True)
class Command:
    """Remove everything that derives from one source: media, rows of every shard, published tables, results.

    Without --apply it only says what would go. Files of yours that a manifest names are never deleted. The source is
    entered into the dataset's tombstones.csv, so that the next build does not bring it back.
    """

    dataset: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DATASET")]
    """Folder of the dataset."""
    source: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="SOURCE")]
    """youtube:ID, bilibili:BV..., the source's address, a video_id, or the SHA-256 of the file."""
    apply: bool = False
    """Do it."""
    results: Annotated[tuple[Path, ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="FOLDER")] = ()
    """Results of disentbench run from which its clips go, too; again for more."""
    reason: str = ""
    """Why, in some words, for the list of tombstones."""

    def run(self) -> int:
        """Purge, and say what went; 1 when there was nothing of the source."""
        from pipelines.withdrawal.purge import purge

        done = purge(self.dataset, self.source, self.apply, self.results, self.reason)
        say(done.text())
        if done.record and self.results:
            say("run disentbench run again to make the tables anew")
        return 0 if done.doomed else 1
