"""List the external model files: where they come from, their licence, and whether they are here."""

import dataclasses

from benchmark.cli._console import say


@dataclasses.dataclass(frozen=True)
class Command:
    """List the external model files that metrics may need. Their hashes are verified."""

    def run(self) -> int:
        """Print two lines a file."""
        from chdtf.weights import status

        for found in status():
            say(f"{found.weights.name:<12} {found.state:<9} {found.weights.purpose}")
            say(f"{'':<12} {found.path}  ({found.weights.licence})")
        return 0
