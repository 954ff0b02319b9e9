"""Check a manifest: columns, ids, intervals, splits; the first mistake is named with its line."""

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from benchmark.cli._console import say


@dataclasses.dataclass(frozen=True)
class Command:
    """Check a manifest without building anything: columns, ids, intervals, crops, splits disjoint by speaker."""

    manifest: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FILE")]
    """CSV or Parquet list of videos."""

    def run(self) -> int:
        """Read and validate, and print what it holds and what in it is probably a mistake."""
        from chdtf.manifest import read_manifest_table
        from chdtf.manifest_summary import summarise, warnings

        table = read_manifest_table(self.manifest)
        found = summarise(table)
        languages = ", ".join(f"{name} {count:,}" for name, count in list(found.languages.items())[:_MOST])
        say(f"{self.manifest}: {found.num_rows:,} rows, {found.num_speakers:,} speakers, no mistakes")
        say(f"  languages: {languages}{_more(found.languages)}")
        say("  splits:    " + ", ".join(f"{name} {count:,}" for name, count in found.splits.items()))
        stated = "whole sources" if not found.num_timed else f"{found.hours:.2f} h in {found.num_timed:,} rows"
        unstated = found.num_rows - found.num_timed
        say(f"  intervals: {stated}" + (f"; {unstated:,} rows without an end" if found.num_timed and unstated else ""))
        say(f"  crops:     {found.num_crops:,}; in the other {found.num_rows - found.num_crops:,} the face is tracked")
        if found.num_local:
            say(f"  local:     {found.num_local:,} files, read only with --allow-local")
        for name, count in list(found.licenses.items())[:_MOST]:
            say(f"  licence:   {count:,} x {name}")
        if len(found.licenses) > _MOST:
            say(f"  licence:   {len(found.licenses) - _MOST:,} more")
        for warning in warnings(table, self.manifest):
            say(f"  warning:   {warning}")
        return 0


_MOST = 8


def _more(counts: dict[str, int]) -> str:
    return f" and {len(counts) - _MOST:,} more" if len(counts) > _MOST else ""
