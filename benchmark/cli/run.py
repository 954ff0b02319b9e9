"""Generate a dataset's clips with methods, score them beside ground truth and controls, write the leaderboard."""

import dataclasses
import os
from pathlib import Path
from typing import Annotated, Literal

import tyro

from benchmark.cli._evaluate import evaluate
from benchmark.cli.build import SAMPLE

ALWAYS = ("gt", "gt_shifted", "gt_shuffled", "still")  # the rows that every table needs to be read


@dataclasses.dataclass(frozen=True)
class Command:
    """Generate the test split of a dataset with methods, score every video alike, write the leaderboard.

    Ground truth, a still image, and the ground truth with shifted sound and with another clip's are always scored
    beside the methods. Run the same command again to continue after an interruption; what is done is kept.
    """

    method: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME [NAME ...]")]
    """Methods by folder name below baselines/ (disentbench methods lists them)."""
    data: Annotated[Path, tyro.conf.arg(metavar="FOLDER")] = SAMPLE
    """A dataset made by disentbench build."""
    results: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")] = None
    """Where videos, scores and tables go. Default: results/NAME-OF-THE-DATASET."""
    metric: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME [NAME ...]")] = ()
    """Metrics to compute. Default: all."""
    split: str = "test"
    """Split whose clips are generated: train, val or test."""
    keep_normalised: bool = False
    """Write the videos as the metrics saw them, lossless, to RESULTS/normalised."""
    workers: int = os.cpu_count() or 1
    """Processes for scoring; with --engine ray the CPUs of a fresh cluster."""
    engine: Literal["local", "ray"] = "local"
    """Where scoring runs: processes of this machine, or a Ray cluster."""
    ray_address: Annotated[str | None, tyro.conf.arg(metavar="ADDRESS")] = None
    """Address of a Ray cluster, or "auto" for the one of this machine. Default: a fresh one."""

    def run(self) -> int:
        """Generate, score, and print the leaderboard."""
        from baselines.method import load_method
        from benchmark.cli._scoring import ray_runner
        from benchmark.metric import get_metric, metric_names

        methods = [load_method(name) for name in dict.fromkeys(("gt", *self.method, *ALWAYS))]
        metrics = [get_metric(name) for name in self.metric or metric_names()]
        results = self.results or Path("results") / self.data.resolve().name
        runner = ray_runner(self.engine, self.ray_address, self.workers)
        return evaluate(self.data, self.split, methods, metrics, results, self.workers, runner, self.keep_normalised)
