"""SadTalker: head motion and expression of speech, blinks by a schedule of its own, rendered from one portrait.

Upstream takes every path on its command line, finds its weights below the folder that it runs in, and writes
`RESULT_DIR/YYYY_mm_dd_HH.MM.SS.mp4`, named by the clock; the folder of intermediate files beside it is removed.

`--preprocess resize` gives the whole picture to the renderer and gets the whole picture back. The default, `crop`, cuts
the face out once more: of a picture that is such a crop already, that enlarges the head and moves it.
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
