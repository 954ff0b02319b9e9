"""Show what a build has done, what it is at, what failed, and how long it will take."""

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from benchmark.cli._console import say


@dataclasses.dataclass(frozen=True)
class Command:
    """Show what a build has done, what it is at, what failed, and how long it will take; while it runs, or after."""

    dataset: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER")]
    """Folder that is being built."""

    def run(self) -> int:
        """Print the state."""
        from pipelines.status import status

        say(status(self.dataset).text())
        return 0
