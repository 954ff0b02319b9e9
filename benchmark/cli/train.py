"""Train the reference model on built datasets."""

import dataclasses
from typing import Annotated

import tyro

from benchmark.cli._console import progress, say
from disenttalk_ref.train import TrainConfig


@dataclasses.dataclass(frozen=True)
class Command:
    """Train the reference model on the train split of built datasets.

    Continues the run found in --out; the result is the same as without the interruption.
    """

    config: Annotated[TrainConfig, tyro.conf.arg(name="")]

    def run(self) -> int:
        """Train, and say where the checkpoint lies."""
        from disenttalk_ref.train import train

        with progress("Training") as report:
            path = train(self.config, lambda done, total, losses: report(done, total, _losses(losses)))
        say(f"checkpoint: {path}")
        return 0


def _losses(losses: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.3f}" for name, value in losses.items())
