"""List the external model files: where they come from, their licence, and whether they are here."""

import dataclasses

from benchmark.cli._console import say


@dataclasses.dataclass(frozen=True)
class Command:
    """List the external model files that metrics and the builder may need. Their hashes are verified."""

    def run(self) -> int:
        """Print two lines a file."""
        from chdtf.weights import status

        files = status()
        width = max(len(found.weights.name) for found in files)
        for found in files:
            say(f"{found.weights.name:<{width}} {found.state:<9} {found.weights.purpose}")
            say(f"{'':<{width}} {found.path}  ({found.weights.licence})")
        return 0
