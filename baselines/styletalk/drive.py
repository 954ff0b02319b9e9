"""StyleTalk: phonemes, an expression clip for the manner of speaking, a pose sequence and one portrait of 256x256 px.

Every path goes by argument, the weights' too; it writes the very file that it is told, its coefficients beside that.
One frame for each phoneme label, shown at 30 fps whatever the labels' rate was: labels and poses come at 30 fps.
"""

from __future__ import annotations

import sys
from pathlib import Path

from upstream_run import run


def main(job_file: Path) -> None:
    """Make every video of the job."""
    run(job_file)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
