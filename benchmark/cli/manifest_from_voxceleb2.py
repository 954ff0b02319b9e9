"""Make a manifest of VoxCeleb2's track files, or of its mp4 clips."""

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

import tyro

from benchmark.cli._import import say_imported


@dataclasses.dataclass(frozen=True)
class Command:
    """Make a manifest of VoxCeleb2: of idNNNNN/<YouTube id>/NNNNN.txt (sources to download) or .mp4 (clips on disk)."""

    folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DIR")]
    """Folder with the tracks, at any depth; only read. Clips on disk win over txt files of the same track."""
    out: Path = Path("voxceleb2.csv")
    """Where to write the manifest (.parquet is much smaller); its account goes beside it."""
    split: Literal["by-speaker", "train", "val", "test"] = "by-speaker"
    """The split of all rows, e.g. test for VoxCeleb2's own test set; or by the speaker, as for other lists."""
    language: str = "und"
    """BCP 47 tag for all rows; VoxCeleb2 does not say."""
    margin: float = 0.1
    """Added on each side of the box that holds a track's faces, in its widths and heights."""

    def run(self) -> int:
        """Write manifest and account."""
        from chdtf.errors import UserError
        from pipelines.sources.importers import Account, write_import
        from pipelines.sources.importers.voxceleb2 import from_voxceleb2

        if not 0 <= self.margin <= 2:
            raise UserError(f"--margin {self.margin} is not a margin; give 0 to 2")
        account: Account = []
        split = None if self.split == "by-speaker" else self.split
        rows = from_voxceleb2(self.folder, account, self.out, self.language, split, self.margin)
        count = write_import(rows, account, self.out)
        say_imported(count, account, self.out)
        return 0
