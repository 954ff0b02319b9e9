"""Mandarin phones as CMU phones, roughly: a table that anybody can read and correct, `mandarin_cmu.csv`.

What a mouth does counts, not what an ear hears: aspiration and tone have no counterpart and are dropped, an alveolo-
palatal is the palatal nearest to it, a final is the row of English vowels and nasals that it resembles.
"""

import csv
import functools
from collections.abc import Iterable, Mapping
from pathlib import Path

TABLE = Path(__file__).with_name("mandarin_cmu.csv")
_WAYS = ("pinyin", "ipa")  # the first counts where both fit
_TONES = "0123456789˥˦˧˨˩ˉˊˇˋ"


@functools.lru_cache(maxsize=1)
def _tables() -> dict[str, dict[str, tuple[str, ...]]]:
    """CMU phones by name, for each way of writing: `pinyin` (initials and finals) and `ipa`."""
    with TABLE.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    return {way: {name: tuple(row["cmu"].split()) for row in rows for name in row[way].split()} for way in _WAYS}


def mandarin_table(spoken: Iterable[str]) -> Mapping[str, tuple[str, ...]]:
    """CMU phones by name, for the way in which a clip's phones are written.

    Pinyin, unless more of the names are IPA: `j` and `x` are sounds of both, and not the same.
    """
    names = [without_tone(name) for name in spoken]
    return max(_tables().values(), key=lambda table: sum(name in table for name in names))


def without_tone(name: str) -> str:
    """`iang4`, `a˥˩` -> `iang`, `a`."""
    return name.strip().rstrip(_TONES)
