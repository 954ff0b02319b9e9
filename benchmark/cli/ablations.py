"""Train the reference model and its six ablations alike, score them, and print Table IV beside the paper's."""

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from benchmark.cli._console import progress, say
from chdtf.errors import UserError
from disenttalk_ref.train import TrainConfig

if TYPE_CHECKING:
    from benchmark.metric import MetricBase

FULL = "full"
_REGIONS = ("eye", "lip", "global", "pose")


@dataclasses.dataclass(frozen=True)
class Command:
    """Table IV: train the full model and each ablation with the same data, seed, steps and batches, generate the test
    clips of a dataset with each through the benchmark, and compare every ablation with the full model.

    --ablate names those of the six to train; default: all. Below --out: models/VARIANT, results (as of disentbench
    run), table_iv.csv, table_iv.md. Run the same command again to continue; what is finished is kept.
    """

    config: Annotated[TrainConfig, tyro.conf.arg(name="")]
    test: Annotated[Path, tyro.conf.arg(metavar="FOLDER")]
    """The dataset whose clips are generated. None of its speakers should be in --data."""
    split: str = "test"
    """Split of it: train, val or test."""
    metric: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME [NAME ...]")] = ()
    """Metrics to compute. Default: those of Table IV and mouth_open_corr."""
    temperature: float = 1.0
    """Factor of the noise that sampling starts from, alike in every region: a model without regions has no others, and
    settings found for the full model would favour it."""
    workers: int = os.cpu_count() or 1
    """Processes for scoring."""

    def run(self) -> int:
        """Train, generate, score, print; 1 when a clip was left without a video."""
        from baselines.method import load_method
        from benchmark.cli._evaluate import clips_of, evaluate
        from benchmark.metric import get_metric
        from benchmark.tables.ablations import METRICS
        from disenttalk_ref.ablation import ABLATIONS, label

        if unknown := [name for name in self.metric if name not in METRICS]:
            raise UserError(f"--metric {unknown[0]}: this table has {', '.join(METRICS)}")
        metrics = [get_metric(name) for name in METRICS if name in self.metric or not self.metric]
        clips_of(self.test, self.split)  # a mistake is told before hours of training
        wanted = self.config.ablate or tuple(ABLATIONS)
        reasons = self._cannot(wanted)
        sampling = {f"temperature_{region}": self.temperature for region in _REGIONS}
        own, methods = load_method("disenttalk"), [load_method("gt")]
        for name in (*(name for name in wanted if name not in reasons), FULL):
            taken = () if name == FULL else (name,)
            checkpoint = self._train(name, taken, label(taken))
            methods.append(own.with_checkpoint(checkpoint, _method(name), label(taken), sampling))
        status = evaluate(self.test, self.split, methods, metrics, self.config.out / "results", self.workers)
        self._show([*wanted, FULL], reasons, metrics)
        return status

    def _cannot(self, wanted: Sequence[str]) -> dict[str, str]:
        """Ablations that this data does not allow, with the reason."""
        from chdtf.clip import read_clips
        from disenttalk_ref.train.data import is_mandarin

        if "chdtf" not in wanted:
            return {}
        languages = {clip.language for root in self.config.data for clip in read_clips(root, "train")}
        mandarin = set(filter(is_mandarin, languages))
        if mandarin and mandarin != languages:
            return {}
        which = "no clip is" if languages - mandarin else "every clip is"
        return {"chdtf": f"not trained: {which} Mandarin; the languages are {', '.join(sorted(languages)) or 'none'}"}

    def _train(self, name: str, taken: tuple[str, ...], title: str) -> Path:
        from disenttalk_ref.train import train

        config = dataclasses.replace(self.config, ablate=taken, out=self.config.out / "models" / name)
        with progress(f"Training {title}") as report:
            return train(config, lambda done, total, _: report(done, total, name))

    def _show(self, wanted: Sequence[str], reasons: dict[str, str], metrics: "Sequence[MetricBase]") -> None:
        from rich.console import Console

        from benchmark.results import read_results
        from benchmark.tables import ablations
        from chdtf.files import write_text
        from disenttalk_ref.ablation import label

        out = self.config.out
        results = read_results(out / "results")
        variants = [
            ablations.Variant(
                name,
                label(() if name == FULL else (name,)),
                tuple(results.scores.get(_method(name), ())),
                reasons.get(name, ""),
            )
            for name in wanted
        ]
        variants.append(ablations.Variant(ablations.TRUTH, "Ground truth", tuple(results.scores["gt"])))
        lines = ablations.table_iv(variants, metrics, results.dataset)
        title = f"Table IV on {results.dataset}, {self.split}"
        write_text(out / "table_iv.csv", ablations.table_csv(lines))
        write_text(out / "table_iv.md", ablations.markdown(lines, title))
        table, notes = ablations.terminal(lines, title)
        Console().print(table)
        for text in (*notes, "", *ablations.claims(lines), "", *ablations.REMARKS):
            say(text)
        say(f"CSV:      {out / 'table_iv.csv'}")
        say(f"Markdown: {out / 'table_iv.md'}")


def _method(name: str) -> str:
    """The variant's name among methods."""
    return "disenttalk_full" if name == FULL else f"disenttalk_without_{name}"
