"""Verify the external model files that are here: exit status 1 when one is missing or is another file."""

import dataclasses
from typing import Annotated

import tyro

from benchmark.cli._console import say


@dataclasses.dataclass(frozen=True)
class Command:
    """Verify external model files by their hashes: those named, or all that are here."""

    name: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="[NAME ...]")] = ()
    """Names of the files (disentbench weights list); one that is named and missing counts as a fault."""

    def run(self) -> int:
        """Print one line a file."""
        from chdtf.weights import WEIGHTS, check

        faults = 0
        for found in [check(name) for name in self.name or WEIGHTS]:
            is_fault = found.state == "mismatch" or (found.state == "missing" and bool(self.name))
            faults += is_fault
            say(f"{found.weights.name:<14} {found.state:<9} {found.detail or found.path}")
        return 1 if faults else 0
