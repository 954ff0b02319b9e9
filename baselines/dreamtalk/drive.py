"""DreamTalk: speech through wav2vec 2.0, an expression clip for the manner of speaking, a pose sequence, one portrait.

Upstream takes every path on its command line, but for its weights and wav2vec's folder, which it looks for below the
folder that it runs in. It writes `output_video/NAME.mp4` with its mark burnt into the lower right corner, and says in a
comment to take that block out for evaluation. Here the file stays as it is; the shim `keep_unmarked` keeps the video
without the mark, `output_video/NAME.mp4-no_watermark.mp4`, which the script makes first and deletes in the end.
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
