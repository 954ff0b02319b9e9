"""Control: the reference picture, untouched, with the sound of another clip of the set.

Shorter sound is repeated, longer sound is cut, so that its length fits the picture.
"""

import json
import sys
from pathlib import Path

import numpy as np

from chdtf.media import read_waveform, replace_audio
from chdtf.schema import SAMPLES_PER_FRAME


def main(job_file: Path) -> None:
    """Write every reference video with the sound of the next clip."""
    for item in json.loads(job_file.read_text(encoding="utf-8"))["items"]:
        output = Path(item["output"])
        if item["other_audio"] is None:
            output.with_suffix(".error").write_text("a set of one clip has no other clip's sound", encoding="utf-8")
            continue
        waveform = read_waveform(Path(item["other_audio"]))
        if waveform is None or not len(waveform):
            raise ValueError(f"{item['other_audio']}: no sound")
        replace_audio(Path(item["video"]), output, np.resize(waveform, item["num_frames"] * SAMPLES_PER_FRAME))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
