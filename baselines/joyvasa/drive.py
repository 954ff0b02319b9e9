"""JoyVASA: a portrait and speech on the command line; upstream names its video after both, in a folder that we name.

Nothing is cropped (upstream's default): the picture as a whole is brought to 256x256 and comes back at 512x512.
Where the weights are generated, upstream's configuration of its networks is written anew, narrower.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from small import CONFIG, small
from upstream_run import Task, run


def prepare(task: Task) -> None:
    """Narrow networks for generated weights; JSON is YAML too."""
    if task.generated:
        import yaml  # of upstream's environment

        config = yaml.safe_load((task.folder / CONFIG).read_text(encoding="utf-8"))
        task.write(CONFIG, json.dumps(small(config), indent=1))


def main(job_file: Path) -> None:
    """Make every video of the job."""
    run(job_file, prepare)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
