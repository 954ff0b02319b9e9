"""Generate a dataset's clips with methods, score them beside ground truth and controls, write the leaderboard."""

import dataclasses
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from benchmark.cli._evaluate import evaluate
from benchmark.cli.build import SAMPLE
from chdtf.errors import UserError

if TYPE_CHECKING:
    from baselines.method import Method

ALL = "all"
ALWAYS = ("gt", "gt_shifted", "gt_shuffled", "still")  # the rows that every table needs to be read


@dataclasses.dataclass(frozen=True)
class Command:
    """Generate the test split of a dataset with methods, score every video alike, write the leaderboard.

    Ground truth, a still image, and the ground truth with shifted sound and with another clip's are always scored
    beside the methods. Run the same command again to continue after an interruption; what is done is kept.
    """

    method: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME [NAME ...]")]
    """Methods by folder name below baselines/ (disentbench methods lists them), or all: every method that is installed
    is run, of the others the tables say why not, and the paper's numbers stand beside."""
    checkpoint: Annotated[tuple[str, ...], tyro.conf.arg(metavar="FILE [NAME=FILE ...]")] = ()
    """Checkpoints for the method that takes one (disenttalk), each a row of its own in place of the committed one's.
    NAME, by default that of the file or of its folder, stands in the tables."""
    data: Annotated[Path, tyro.conf.arg(metavar="FOLDER")] = SAMPLE
    """A dataset made by disentbench build."""
    results: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")] = None
    """Where videos, scores and tables go. Default: results/NAME-OF-THE-DATASET."""
    metric: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME [NAME ...]")] = ()
    """Metrics to compute. Default: all."""
    split: str = "test"
    """Split whose clips are generated: train, val or test."""
    generated_weights: bool = False
    """Run wrapped methods with weights from disentbench methods generate-weights, which proves the wrappers. Goes to
    RESULTS/generated_weights and into no leaderboard."""
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
        from baselines.installation import examine
        from baselines.method import load_method
        from benchmark.cli._scoring import ray_runner
        from benchmark.metric import get_metric, metric_names

        named = self._named_methods()
        always = () if self.generated_weights else ALWAYS
        methods = [load_method(name) for name in dict.fromkeys((*always[:1], *named, *always))]
        if self.checkpoint:
            methods = with_checkpoints(methods, self.checkpoint)
        installations = {m.name: examine(m, self.generated_weights) for m in methods if m.wrapped is not None}
        metrics = [get_metric(name) for name in self.metric or metric_names()]
        results = self.results or Path("results") / self.data.resolve().name
        results = results / "generated_weights" if self.generated_weights else results
        runner = ray_runner(self.engine, self.ray_address, self.workers)
        status = evaluate(
            self.data,
            self.split,
            methods,
            metrics,
            results,
            self.workers,
            runner,
            self.keep_normalised,
            installations,
            proof=self.generated_weights,
            printed_everywhere=ALL in self.method,
        )
        absent = [name for name in self.method if name in installations and installations[name].problems]
        return 1 if absent else status

    def _named_methods(self) -> list[str]:
        """The methods asked for; `all` stands for every one, with `--generated-weights` for every wrapped one."""
        from baselines.method import load_method, method_names

        every = [m for m in map(load_method, method_names()) if m.role == "method"]
        own = [m.name for m in every if m.wrapped is None]
        named = [m.name for m in every] if ALL in self.method else list(self.method)
        if not self.generated_weights:
            return named
        if ours := [name for name in self.method if name in own]:
            raise UserError(f"--generated-weights: {ours[0]} is this project's own and has weights; leave it away")
        return [name for name in named if name not in own]


def with_checkpoints(methods: "Sequence[Method]", given: Sequence[str]) -> "list[Method]":
    """The methods, those that take a checkpoint once for each of `given` (FILE or NAME=FILE) in place of their own.

    Raises `UserError` when none takes one, a file is missing, or two would have the same name.
    """
    files = dict(map(_named, given))
    if len(files) < len(given):
        raise UserError(f"--checkpoint {' '.join(given)}: two have the same name; give each one as NAME=FILE")
    if not any(method.checkpoint for method in methods):
        raise UserError("--checkpoint: none of the methods takes one; add --method disenttalk")
    found: list[Method] = []
    for method in methods:
        if not method.checkpoint:
            found.append(method)
            continue
        for name, file in files.items():
            found.append(method.with_checkpoint(file, f"{method.name}_{name}", f"{method.label}, {name}"))
    return found


def _named(given: str) -> tuple[str, Path]:
    """Name and file of FILE or NAME=FILE; a file called checkpoint.safetensors is named as its folder."""
    name, equals, file = given.partition("=")
    path = Path(file if equals else given)
    if not equals:
        name = path.resolve().parent.name if path.stem == "checkpoint" else path.stem
    if not re.fullmatch(r"[\w.-]+", name):
        raise UserError(
            f"--checkpoint {given}: {name!r} cannot be a method's name; give letters, digits, _ . - as NAME=FILE"
        )
    return name, path
