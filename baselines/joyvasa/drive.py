"""JoyVASA: a portrait and speech on the command line; upstream names its video after both, in a folder that we name.

Nothing is cropped (upstream's default): the picture as a whole is brought to 256x256 and comes back at 512x512.
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
