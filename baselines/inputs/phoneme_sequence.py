"""`phoneme_sequence`: StyleTalk's phonemes, a flat JSON list with the number of the phone of every frame.

StyleTalk (FuxiVirtualHuman/styletalk, inference_for_demo.py) makes one frame for each number and shows 30 of them a
second; its committed lists have 30 a second too (780 for 26.006 s). Labels at 25 a second would play 1.2 times too
fast. Numbers count the 41 phones in alphabetical order, as its phindex.json does: AA is 0, SIL 31, ZH 40. Frame k
takes the phone at k / fps, as AVCT's expansion does, whose lists StyleTalk's authors refer to.
"""

import dataclasses
import json
from pathlib import Path

import numpy as np

from baselines.inputs import Input, check_fps
from baselines.inputs.phones import CMU, phones_at, source_version
from baselines.inputs.source import Source, frame_numbers
from chdtf.schema import FPS


@dataclasses.dataclass(frozen=True)
class Derive(Input):
    """As many numbers as a clip has frames at `fps`; `bfm_pose` of the same rate has as many rows."""

    fps: float = 30

    def __post_init__(self) -> None:
        check_fps(self.fps)

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
        count = len(frame_numbers(source.num_frames, FPS, self.fps))
        numbers = [CMU.index(phone) for phone in phones_at(source.phones, np.arange(count) / self.fps)]
        out.write_text(json.dumps(numbers), encoding="utf-8")
