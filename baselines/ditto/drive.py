"""Ditto: portrait, speech and the name of the video on the command line; nothing is special.

It writes the video without sound first, `{output}.tmp.mp4`, and then, with ffmpeg, the one with sound. A part of it in
Cython is built below `HOME` when it is first imported, by a C compiler.
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
