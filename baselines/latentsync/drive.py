"""LatentSync: the mouth of every frame is painted anew by speech, in runs of 16 frames, and the face pasted back.

All is on upstream's command line but its VAE, which it asks for by its name at the Hugging Face Hub: a folder of that
name where it runs is taken in its place. Where the weights are generated, a narrow network's configuration is written.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from upstream_run import Task, run

CONFIG = "configs/unet/stage2_512.yaml"
SMALL_CONFIG = "configs/unet/disentbench.yaml"
SMALL_PX = 128
# Narrow levels of one layer; the width of speech (384) stays, as Whisper's does.
SMALL = {"block_out_channels": [32, 64, 64, 64], "layers_per_block": 1}


def prepare(task: Task) -> None:
    """Name the configuration."""
    task.values["config"] = CONFIG
    if task.generated:
        reader = importlib.import_module("omegaconf").OmegaConf  # upstream's; PyYAML alone takes 1e-5 for a word
        config = reader.load(task.folder / CONFIG)
        config.data.resolution = SMALL_PX
        config.model.update(SMALL)
        task.write(SMALL_CONFIG, reader.to_yaml(config))
        task.values["config"] = SMALL_CONFIG


def main(job_file: Path) -> None:
    """Make every video of the job."""
    run(job_file, prepare)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
