"""Audio2Head: one picture and one sound file by argument; a file `IMAGE_AUDIO.mp4` below the folder that it is told.

Its sound at 16 kHz goes to `results/temp.wav` of the folder that it runs in, whatever it was told: made beforehand.
"""

from __future__ import annotations

import sys
from pathlib import Path

from upstream_run import Task, run


def prepare(task: Task) -> None:
    """Make the folder that its own scratch file needs."""
    task.path("results/temp.wav")


def main(job_file: Path) -> None:
    """Make every video of the job."""
    run(job_file, prepare)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
