"""Wav2Lip: the lower half of every face box of a video is drawn anew by the speech, and pasted back.

Upstream takes its inputs, its checkpoint and the path of its result on the command line; only the face detector's file
has a fixed place. Paths are relative, because it tells pictures from videos by what follows the FIRST dot of a path.
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
