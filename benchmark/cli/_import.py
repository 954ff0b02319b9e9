"""What the verbs `manifest from-<list>` share: how an import ends."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from benchmark.cli._console import say

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pipelines.sources.importers import Note


def say_imported(count: int, account: Sequence[Note], out: Path) -> None:
    """How many rows there are, what the account says of the others, and what to do next."""
    from pipelines.sources.importers import account_path

    say(f"{out}: {count} rows")
    if account:
        outcomes = Counter(note.outcome for note in account)
        said = ", ".join(f"{number} {outcome}" for outcome, number in sorted(outcomes.items()))
        say(f"{account_path(out)}: {said}; each with its line and the reason")
    say(f"Check it with: disentbench manifest check {out}")
