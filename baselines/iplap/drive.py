"""IP_LAP: the face in every frame of a video is drawn anew, its mouth and jaw by landmarks that follow the speech.

Upstream takes both inputs and the folder for its result on its command line, finds its checkpoints at their default
places, and writes `result/NAMEresult_N_25_Nl_15.mp4`, twice as wide as the video: sketch on the left, result on the
right. Paths are relative, because it tells pictures from videos by what follows the FIRST dot of a path.
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
