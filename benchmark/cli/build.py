"""Build a dataset from a manifest: download, cut, track, resample, fit, score, publish as Parquet."""

import dataclasses
import os
from pathlib import Path
from typing import Annotated

import tyro

from benchmark.cli._console import progress, say

SAMPLE = Path("data/sample")


@dataclasses.dataclass(frozen=True)
class Command:
    """Build a dataset from a manifest: download, cut, track, resample, landmarks, fit, quality, publish.

    Without --manifest it draws and builds the bundled synthetic sample. Run the same command again to continue after
    an interruption; what is done is kept.
    """

    manifest: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """CSV or Parquet list of videos (columns: manifests/README.md). Default: the bundled sample."""
    out: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")] = None
    """Folder for the dataset. Default: data/NAME-OF-THE-MANIFEST."""
    workers: int = os.cpu_count() or 1
    """Processes."""
    allow_local: bool = False
    """Let the manifest name files of this machine (file: URLs)."""

    def run(self) -> int:
        """Build, and print the account of all rows."""
        out = self.out or (Path("data") / self.manifest.stem if self.manifest else SAMPLE)
        manifest = self.manifest or draw(out, self.workers)
        failed = build(manifest, out, self.workers, self.allow_local or not self.manifest)
        if not self.manifest:
            say("This is the bundled synthetic sample. For real videos: make chdtf MANIFEST=list.csv OUT=folder")
        return 1 if failed else 0


def draw(folder: Path, workers: int) -> Path:
    """Draw the bundled sample's source videos below `folder`; returns their manifest."""
    from chdtf.sample import draw_sample

    with progress("Drawing the sample") as report:
        return draw_sample(folder, processes=workers, progress=report)


def build(manifest: Path, out: Path, workers: int, allow_local: bool) -> int:
    """Build and print the account; returns how many rows failed."""
    from pipelines.build import build as build_dataset

    with progress("Building the dataset") as report:
        summary = build_dataset(manifest, out, workers=workers, allow_local=allow_local, progress=report)
    say(summary.text())
    return summary.failed
