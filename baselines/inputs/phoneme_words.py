"""`phoneme_words`: AVCT's phonemes, a JSON list of words with phones whose times are in 1/100 s.

AVCT (FuxiVirtualHuman/AAAI22-one-shot-talking-face, tools/interface.py `parse_phoneme_file`) takes the phone at 4 k
hundredths for frame k of 25 fps, and as many frames as the last end says, rounded down: so the last interval ends one
hundredth after the clip, which frame arithmetic in floats cannot round below T. It does not read the words themselves;
what lies between two silences is one word here.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

from baselines.inputs import Input
from baselines.inputs.phones import SILENCE, Interval, source_version
from baselines.inputs.source import Source

_PER_S = 100
_PER_FRAME = 4


@dataclasses.dataclass(frozen=True)
class Derive(Input):
    """Times are rounded to hundredths; a phone that is left without one is dropped."""

    @property
    def version(self) -> int:
        """1, or a number that changes with what the user's folder of intervals holds."""
        return source_version(1)

    @property
    def suffix(self) -> str:
        """.json."""
        return ".json"

    def derive(self, source: Source, out: Path) -> None:
        """Write the list. Raises `Unavailable` (`no_phonemes`)."""
        words = words_of(source.phones, source.num_frames)
        out.write_text(json.dumps(words, indent=1), encoding="utf-8")


def words_of(intervals: list[Interval], num_frames: int) -> list[dict[str, Any]]:
    """AVCT's list for a clip of T frames."""
    words: list[dict[str, Any]] = []
    end = _PER_FRAME * num_frames
    timed = [(one.phone, round(one.start_s * _PER_S), round(one.end_s * _PER_S)) for one in intervals]
    kept = [(phone, first, min(last, end)) for phone, first, last in timed if first < min(last, end)]
    kept[-1] = (*kept[-1][:2], end + 1)
    for phone, first, last in kept:
        word = "sil" if phone == SILENCE else "speech"
        if not words or words[-1]["word"] != word:
            words.append({"word": word, "phones": []})
        words[-1]["phones"].append({"ph": phone, "bg": first, "ed": last})
    return words
