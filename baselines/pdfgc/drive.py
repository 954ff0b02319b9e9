"""PD-FGC: appearance of one picture; lips from speech; pose, expression and eyes from folders of driving frames.

Upstream takes every path on its command line and writes `test/mp4s/NAME.mp4`, five panels side by side: appearance,
result, pose, expression, eyes. The first panel but one is the result; its first frame is the clip's third (index 2),
because the sound of two frames before and after is looked at, and driving frames are counted from there.
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
