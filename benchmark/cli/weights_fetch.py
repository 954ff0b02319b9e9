"""Download external model files and verify their hashes."""

import dataclasses
import functools
from typing import Annotated

import tyro

from benchmark.cli._console import progress, say
from chdtf.errors import UserError


@dataclasses.dataclass(frozen=True)
class Command:
    """Download external model files by name (disentbench weights list); a file with a wrong hash is refused."""

    name: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="NAME [NAME ...]")]
    """Names of the files."""

    def run(self) -> int:
        """Fetch what is not there."""
        from chdtf.weights import WEIGHTS, fetch, get_weights

        if not self.name:
            raise UserError(f"name what to fetch: {', '.join(WEIGHTS)}")

        wanted = [get_weights(name) for name in self.name]  # all names are checked before anything is downloaded
        for entry in wanted:
            what = "files" if entry.recipe else "bytes"
            with progress(f"Fetching {entry.name}") as report:
                say(str(fetch(entry.name, progress=functools.partial(report, what=what))))
        return 0
