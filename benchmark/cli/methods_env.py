"""Make a method's own virtual environment from its pinned requirements."""

import dataclasses
from typing import Annotated

import tyro

from benchmark.cli._console import say


@dataclasses.dataclass(frozen=True)
class Command:
    """Make the virtual environment of a wrapped method, below DISENTBENCH_METHODS/environments.

    Its folder is named by the hash of baselines/NAME/requirements.txt: a changed file makes a new one. Packages come
    from the index that pip is set up for; uv is used in place of pip where it is on the path.
    """

    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")]
    """A method by folder name below baselines/."""
    python: Annotated[str, tyro.conf.arg(metavar="INTERPRETER")]
    """An interpreter of the version that method.toml names, such as /usr/bin/python3.10."""

    def run(self) -> int:
        """Make it, or say that it is there."""
        from baselines.environment import home, make_environment
        from baselines.method import load_method

        made = make_environment(load_method(self.name), self.python, home())
        say(f"{made.folder} (Python {made.version})")
        return 0
