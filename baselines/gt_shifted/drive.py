"""Control: the reference picture, untouched, with its sound 25 frames (1 s) late; its end comes first.

25 frames lie beyond the 15 over which LSE-C forgives a constant delay.
"""

import json
import sys
from pathlib import Path

import numpy as np

from chdtf.media import read_waveform, replace_audio
from chdtf.schema import SAMPLES_PER_FRAME

DELAY_FRAMES = 25


def main(job_file: Path) -> None:
    """Write every reference video with delayed sound."""
    for item in json.loads(job_file.read_text(encoding="utf-8"))["items"]:
        waveform = read_waveform(Path(item["audio"]))
        if waveform is None:
            raise ValueError(f"{item['audio']}: no sound")
        late = np.roll(waveform, DELAY_FRAMES * SAMPLES_PER_FRAME)
        replace_audio(Path(item["video"]), Path(item["output"]), late)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
