"""Check a manifest: columns, ids, intervals, splits; the first mistake is named with its line."""

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from benchmark.cli._console import say


@dataclasses.dataclass(frozen=True)
class Command:
    """Check a manifest without building anything: columns, ids, intervals, crops, splits disjoint by speaker."""

    manifest: Annotated[Path, tyro.conf.Positional]
    """CSV or Parquet list of videos."""

    def run(self) -> int:
        """Read and validate, and print what it holds."""
        from chdtf.manifest import read_manifest

        rows = read_manifest(self.manifest)
        speakers, languages = {row.speaker_id for row in rows}, sorted({row.language for row in rows})
        say(f"{self.manifest}: {len(rows)} videos, {len(speakers)} speakers, languages: {', '.join(languages)}")
        return 0
