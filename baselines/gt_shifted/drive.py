"""Control: the reference picture, untouched, with its sound 15 frames (0.6 s) late; the freed start is silent."""

import json
import sys
from pathlib import Path

import numpy as np

from chdtf.media import fit_length, read_waveform, replace_audio
from chdtf.schema import SAMPLES_PER_FRAME

DELAY_FRAMES = 15


def main(job_file: Path) -> None:
    """Write every reference video with delayed sound."""
    for item in json.loads(job_file.read_text(encoding="utf-8"))["items"]:
        waveform = read_waveform(Path(item["audio"]))
        if waveform is None:
            raise ValueError(f"{item['audio']}: no sound")
        late = np.concatenate([np.zeros(DELAY_FRAMES * SAMPLES_PER_FRAME, np.float32), waveform])
        replace_audio(Path(item["video"]), Path(item["output"]), fit_length(late, len(waveform)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
