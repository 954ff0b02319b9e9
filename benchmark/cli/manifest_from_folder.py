"""Make a manifest of the videos in a folder."""

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from benchmark.cli._console import say


@dataclasses.dataclass(frozen=True)
class Command:
    """Make a manifest of the videos in a folder and its sub-folders; a sub-folder's name becomes the speaker."""

    folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DIR")]
    """Folder of videos; they are only read."""
    out: Path = Path("manifest.csv")
    """Where to write the manifest."""
    language: str = "und"
    """BCP 47 tag for all rows; edit the file where they differ."""
    license: str = "unknown"
    """Licence for all rows."""

    def run(self) -> int:
        """Write the manifest and say how to build it."""
        from chdtf.manifest import from_folder, write_manifest

        rows = from_folder(self.folder, language=self.language, license=self.license, manifest=self.out)
        write_manifest(rows, self.out)
        say(f"{self.out}: {len(rows)} videos. Build it with: disentbench build --manifest {self.out} --allow-local")
        return 0
