"""What the verbs that score share: where the work runs, and how results are shown and kept."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.cli._console import progress, say
from chdtf.errors import UserError

if TYPE_CHECKING:
    from benchmark.clip_score import ClipScore, ScoreItem
    from benchmark.metric import MetricBase
    from benchmark.normalise import Normalise
    from benchmark.score import Runner
    from benchmark.summary import ScoreRow


def ray_runner(engine: str, address: str | None, workers: int) -> "Runner | None":
    """What runs the shards on a Ray cluster (`address` None: a fresh one), or None for processes of this machine."""
    if engine != "ray" and address is None:
        return None
    from chdtf.engine.execute_ray import run_ray

    return lambda chains, report: run_ray(chains, address, max(1, workers), report)


def score_and_keep(
    jobs: "Mapping[str, Sequence[ScoreItem]]",
    out: Path,
    metrics: "Sequence[MetricBase]",
    normalise: "Mapping[str, Normalise]",
    workers: int,
    runner: "Runner | None",
    keep_normalised: bool,
) -> "dict[str, list[ClipScore]]":
    """Score the clips of all methods, and with `keep_normalised` write what was measured to `out/normalised`."""
    from benchmark.lossless import keep_normalised as keep
    from benchmark.score import score_all

    if not out.is_dir():
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"{out}: {error.strerror}; choose another folder for the results") from error
    with progress("Scoring") as report:
        scores = score_all(jobs, out, metrics, workers, report, normalise, runner)
    if keep_normalised:
        with progress("Writing normalised videos") as report:
            for method, items in jobs.items():
                keep(items, out / "normalised" / method, normalise[method], report)
    return scores


def rows_of(
    scores: "Mapping[str, Iterable[ClipScore]]", metrics: "Sequence[MetricBase]", dataset: str, kinds: Mapping[str, str]
) -> "list[ScoreRow]":
    """Rows of the tables, method by method; the run id stays out: the same inputs give the same bytes."""
    from benchmark.geometry import metrics_of
    from benchmark.summary import summarise

    every = metrics_of(metrics, "recrop")  # a metric that a method was not measured with makes no row
    found = {method: list(clips) for method, clips in scores.items()}
    references = {clip.clip_id: clip.reference_sha256 or "" for clips in found.values() for clip in clips}
    return [
        row
        for method, clips in found.items()
        for row in summarise(clips, every, dataset, run_id="", kind=kinds[method], references=references)
    ]


def show(rows: "Sequence[ScoreRow]", out: Path) -> None:
    """Write the tables below `out`, print the leaderboard, and say where everything is."""
    from rich.console import Console

    from benchmark.leaderboard import render_terminal, write_leaderboard

    table, page = write_leaderboard(rows, out)
    Console().print(render_terminal(rows))
    say(f"CSV:      {table}")
    say(f"Markdown: {page}")
    say(f"per clip: {out / 'scores'}")
    if (out / "normalised").is_dir():
        say(f"as seen:  {out / 'normalised'}")


def weights_used(metrics: "Sequence[MetricBase]") -> dict[str, str]:
    """SHA-256 of the model files that the metrics load, or what is wrong with them, for the run record."""
    from chdtf import weights

    found = {name: weights.check(name) for metric in metrics for name in metric.weights}
    return {name: one.weights.sha256 if one.state == "ok" else one.state for name, one in found.items()}
