"""Write untrained weights in a method's own checkpoint format, to prove its wrapper."""

import dataclasses
from typing import Annotated

import tyro

from benchmark.cli._console import say


@dataclasses.dataclass(frozen=True)
class Command:
    """Write generated weights of a wrapped method: its own networks, untrained, in its own checkpoint format.

    disentbench run --method NAME --generated-weights then runs upstream's real code with them, from clip to scored
    video. That proves the wrapper; such videos enter no leaderboard.
    """

    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")]
    """A method by folder name below baselines/."""

    def run(self) -> int:
        """Make them and say where they are."""
        from baselines.generated_weights import generate_weights
        from baselines.method import load_method

        folder = generate_weights(load_method(self.name))
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        say(f"{folder} ({size / 1e6:,.0f} MB)")
        return 0
