"""AVCT: phonemes with their times, a portrait and its head pose, for which upstream calls OpenFace's program.

That program's place is taken by `feature_extraction.py`, which hands over the pose that this project found; the shim
`openface_path` says where it is. A file `IMAGE_AUDIO.mp4` below the folder that upstream is told.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from upstream_run import Task, run

PROGRAM = "openface/FeatureExtraction"  # OPENFACE_POSE_EXTRACTOR_PATH in method.toml


def prepare(task: Task) -> None:
    """Lay out a program as OpenFace's: one file that can be executed."""
    stand_in = Path(__file__).resolve().parent / "feature_extraction.py"
    command = " ".join(shlex.quote(part) for part in (sys.executable, str(stand_in), task.inputs["pose"]))
    task.write(PROGRAM, f'#!/bin/sh\nexec {command} "$@"\n').chmod(0o755)


def main(job_file: Path) -> None:
    """Make every video of the job."""
    run(job_file, prepare)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
