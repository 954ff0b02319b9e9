"""Control: the source image for the length of the clip, with the clip's sound."""

import itertools
import json
import sys
from pathlib import Path

import cv2

from chdtf.media import read_waveform, write_video


def main(job_file: Path) -> None:
    """Write one motionless video for every item."""
    job = json.loads(job_file.read_text(encoding="utf-8"))
    for item in job["items"]:
        image = cv2.cvtColor(cv2.imread(item["image"]), cv2.COLOR_BGR2RGB)
        frames = itertools.repeat(image, item["num_frames"])
        write_video(Path(item["output"]), frames, read_waveform(Path(item["audio"])), fps=job["fps"])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
