"""MuseTalk: the lower half of every face of a video is painted anew by the speech in one step, and blended back.

Upstream takes paths of video and sound from a file of tasks. It says nothing of a failure by its exit status, so a clip
that it gave up has no output.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from upstream_run import Task, run

TASKS = "configs/inference/disentbench.yaml"


def prepare(task: Task) -> None:
    """Write the file of tasks; JSON is YAML."""
    item = {"video_path": task.inputs["video"], "audio_path": task.inputs["audio"]}
    task.write(TASKS, json.dumps({"task_0": item}) + "\n")
    task.values["tasks"] = TASKS


def main(job_file: Path) -> None:
    """Make every video of the job."""
    run(job_file, prepare)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
