"""Compute the mp468 expression basis anew from the landmarks of built datasets."""

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from benchmark.cli._console import say


@dataclasses.dataclass(frozen=True)
class Command:
    """Compute the mp468 face model from the landmarks of built datasets, all splits together.

    The bundled one (chdtf/assets/mp468.npz, its card beside it) is used everywhere; this shows how it was made.
    """

    data: Annotated[tuple[Path, ...], tyro.conf.arg(metavar="FOLDER [FOLDER ...]")]
    """Datasets made by disentbench build."""
    out: Path = Path("mp468.npz")
    """Where to write the model."""

    def run(self) -> int:
        """Compute, write, and print its hash."""
        from chdtf.morphable.basis import basis_from_datasets
        from chdtf.morphable.model import save_model

        model = basis_from_datasets(self.data)
        save_model(model, self.out)
        say(f"{self.out}: {model.num_expression} expression dimensions, hash {model.hash}")
        return 0
