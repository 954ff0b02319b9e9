"""Hallo: a portrait and speech, all on the command line; the rest is in a configuration of upstream's own.

That configuration is read from the checkout, and changed where a run of ours must differ: one folder per clip for
what upstream keeps (`.cache`, named by the picture alone, would be shared), 32-bit numbers on a CPU, which knows few
16-bit operations, and a small picture in one step where the weights are generated.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from upstream_run import Task, run

CONFIG = "disentbench.yaml"
SMALL_PX = 128
SMALL_STEPS = 2


def prepare(task: Task) -> None:
    """Write upstream's default configuration with our few changes; JSON is YAML too."""
    import yaml  # of upstream's environment

    default = task.folder / "configs" / "inference" / "default.yaml"
    config = yaml.safe_load(default.read_text(encoding="utf-8"))
    config["save_path"] = "kept"
    if task.device == "cpu":
        config["weight_dtype"] = "fp32"
    if task.generated:
        config["data"]["source_image"] = {"width": SMALL_PX, "height": SMALL_PX}
        config["inference_steps"] = SMALL_STEPS
    task.write(CONFIG, json.dumps(config, indent=1))
    task.values["config"] = CONFIG


def main(job_file: Path) -> None:
    """Make every video of the job."""
    run(job_file, prepare)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
