"""Build the bundled sample, generate its test split with the reference model, score, print the leaderboard."""

import dataclasses
import os

from benchmark.cli import build, run

METRICS = ("lse_c", "lmd", "blink", "cpbd", "psnr", "ear")  # the paper's five, and the curve that the page draws


@dataclasses.dataclass(frozen=True)
class Command:
    """Everything once, on the bundled sample: draw, build, generate, score, tabulate. A second run redoes nothing."""

    workers: int = os.cpu_count() or 1
    """Processes."""

    def run(self) -> int:
        """Build the sample dataset, then run the reference model on its test split."""
        failed = build.Command(workers=self.workers).run()
        return failed or run.Command(method=("disenttalk",), metric=METRICS, workers=self.workers).run()
