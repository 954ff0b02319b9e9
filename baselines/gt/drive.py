"""Ground truth: the reference clip itself."""

import json
import shutil
import sys
from pathlib import Path


def main(job_file: Path) -> None:
    """Copy every reference video to its output."""
    for item in json.loads(job_file.read_text(encoding="utf-8"))["items"]:
        shutil.copyfile(item["video"], item["output"])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
