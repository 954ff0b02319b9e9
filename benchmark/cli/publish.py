"""Write a dataset's list without media: manifest, lock and a card, for others to make the same clips."""

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from benchmark.cli._console import say


@dataclasses.dataclass(frozen=True)
class Command:
    """Write the list of a dataset for others: addresses, intervals, boxes, hashes, licences. No media, nothing derived.

    Withdrawn sources (tombstones) are left out. The dataset itself is published by disentbench build, in its folder.
    """

    dataset: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DATASET")]
    """Folder of the dataset."""
    out: Annotated[Path, tyro.conf.arg(metavar="FOLDER")]
    """Folder for the list."""
    what: Annotated[str, tyro.conf.arg(metavar="manifest")] = "manifest"
    """What to publish; media are in the dataset's own folder."""
    tombstones: Annotated[tuple[Path, ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="FILE")] = ()
    """A list of withdrawn sources, beside those that always count; again for more."""

    def run(self) -> int:
        """Write the list, and say what it holds."""
        from chdtf.errors import UserError
        from pipelines.publication.share import publish_manifest

        if self.what != "manifest":
            raise UserError(f"--what {self.what!r}: there is manifest; media are in the dataset's own folder")
        say(publish_manifest(self.dataset, self.out, self.tombstones).text())
        return 0
