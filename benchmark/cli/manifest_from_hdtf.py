"""Make a manifest of HDTF's annotation lists."""

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from benchmark.cli._import import say_imported


@dataclasses.dataclass(frozen=True)
class Command:
    """Make a manifest of HDTF's annotation lists (the folder HDTF_dataset of github.com/MRzzm/HDTF)."""

    folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DIR")]
    """Folder of the 15 lists, RD_video_url.txt and so on; they are only read."""
    out: Path = Path("hdtf.csv")
    """Where to write the manifest; its account goes beside it."""
    no_crops: bool = False
    """Leave HDTF's windows out and track every face instead."""

    def run(self) -> int:
        """Write manifest and account."""
        from pipelines.sources.importers import Account, write_import
        from pipelines.sources.importers.hdtf import from_hdtf

        account: Account = []
        count = write_import(from_hdtf(self.folder, account, with_crops=not self.no_crops), account, self.out)
        say_imported(count, account, self.out)
        return 0
