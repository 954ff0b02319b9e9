"""Control: every frame is the reference's previous one (the first stands twice), with the clip's own sound."""

import itertools
import json
import sys
from pathlib import Path

from chdtf.media import frames, read_waveform, write_video


def main(job_file: Path) -> None:
    """Write one video for every item, decoding each reference once."""
    job = json.loads(job_file.read_text(encoding="utf-8"))
    for item in job["items"]:
        reference = frames(Path(item["video"]))
        first = next(reference)
        late = itertools.islice(itertools.chain([first, first], reference), item["num_frames"])
        write_video(Path(item["output"]), late, read_waveform(Path(item["audio"])), fps=job["fps"])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
