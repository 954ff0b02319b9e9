"""Train the neural renderer (PIRenderer) on built datasets."""

import dataclasses
from typing import Annotated

import tyro

from benchmark.cli._console import progress, say
from disenttalk_ref.render.pirenderer.train import RendererTrainConfig


@dataclasses.dataclass(frozen=True)
class Command:
    """Train the neural renderer on the train split of built datasets, whose video it decodes.

    Continues the run found in --out; the result is the same as without the interruption. For several GPUs:
    accelerate launch --no-python disentbench renderer train ... --device cuda.
    """

    config: Annotated[RendererTrainConfig, tyro.conf.arg(name="")]

    def run(self) -> int:
        """Train, and say where the checkpoint lies."""
        from disenttalk_ref.render.pirenderer.train import train_renderer

        with progress("Training") as report:
            path = train_renderer(self.config, lambda done, total, losses: report(done, total, _losses(losses)))
        say(f"renderer: {path}")
        return 0


def _losses(losses: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.3f}" for name, value in losses.items())
