"""MakeItTalk: a picture and sound in its folder `examples`, where it speaks every wav that it finds.

So its own example sound goes first. It normalises the staged sound in place; the copy that its video carries is not
the clip's. What it writes has three panels: the picture, the generated face, the landmarks.
"""

from __future__ import annotations

import sys
from pathlib import Path

from upstream_run import Refused, Task, run

MIN_FRAMES = 26  # at 25 fps; its first blink needs 46 frames at 62.5 fps, of windows that end 18 frames early


def prepare(task: Task) -> None:
    """Leave one picture and one sound file in `examples`."""
    if int(task.values["num_frames"]) < MIN_FRAMES:
        raise Refused(f"too_short: {task.values['num_frames']} frames; MakeItTalk's blink needs {MIN_FRAMES} (1.04 s)")
    task.remove("examples/*.wav")
    task.place("audio", "examples/{name}.wav")
    task.place("image", "examples/{name}.png")


def main(job_file: Path) -> None:
    """Make every video of the job."""
    run(job_file, prepare)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
