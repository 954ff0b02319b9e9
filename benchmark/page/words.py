"""Texts from outside made fit for a page, and the words for a metric's direction."""

import functools
import re
import unicodedata

ARROWS = {"higher": "↑", "lower": "↓", "truth": "→GT"}
DIRECTIONS = {"higher": "higher is better", "lower": "lower is better", "truth": "closest to the ground truth is best"}
_BLANKS = re.compile(r"\s+")


@functools.lru_cache(maxsize=4096)  # the same few reasons stand in thousands of cells
def visible(text: str | float, limit: int = 400) -> str:
    """The text on one line, without control, direction and other invisible characters, of at most `limit` characters.

    A right-to-left override, for instance, would turn the words around it.
    """
    kept = (character for character in str(text) if character.isspace() or unicodedata.category(character)[0] != "C")
    shown = _BLANKS.sub(" ", "".join(kept)).strip()
    return shown if len(shown) <= limit else shown[: limit - 1].rstrip() + "…"
