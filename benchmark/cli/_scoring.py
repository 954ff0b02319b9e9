"""What the verbs that score share: where the work runs, and how results are shown and kept."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.cli._console import progress, say
from chdtf.errors import UserError

if TYPE_CHECKING:
    from benchmark.clip_score import ClipScore, ScoreItem
    from benchmark.metric import MetricBase
    from benchmark.normalise import Normalise
    from benchmark.score import Runner


def ray_runner(engine: str, address: str | None, workers: int) -> "Runner | None":
    """What runs the shards on a Ray cluster (`address` None: a fresh one), or None for processes of this machine.

    Raises `UserError` for a number of workers below 0.
    """
    if workers < 0:
        raise UserError(f"--workers {workers}: give how many processes, or 0 for none beside this one")
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

    with progress("Scoring") as report:
        scores = score_all(jobs, out, metrics, workers, report, normalise, runner)
    if keep_normalised:
        with progress("Writing normalised videos") as report:
            for method, items in jobs.items():
                keep(items, out / "normalised" / method, normalise[method], report)
    return scores


def show(
    scores: "Mapping[str, list[ClipScore]]",
    jobs: "Mapping[str, Sequence[ScoreItem]]",
    kinds: Mapping[str, str],
    dataset: str,
    out: Path,
    printed_everywhere: bool = False,
) -> None:
    """Write the tables and the page below `out`, print the leaderboard, and say where everything is."""
    from benchmark.cli._board import known_facts, method_notes, with_recorded_facts, write_and_show
    from benchmark.tables.make import facts_of_kinds, make_board
    from benchmark.tables.page_data import REFERENCE

    facts = facts_of_kinds(kinds, with_recorded_facts(known_facts(scores), [out]))
    notes = method_notes(name for name, found in scores.items() if any(score.reason is None for score in found))
    board = make_board({dataset: scores}, facts, notes=notes, printed_everywhere=printed_everywhere)
    files = {
        (dataset, name, item.clip_id): path
        for method, items in jobs.items()
        for item in items
        for name, path in ((method, item.generated), (REFERENCE, item.reference))
        if path is not None and path.is_file()
    }
    write_and_show(board, {dataset: scores}, files, out)
    say(f"per clip: {out / 'scores'}")
    if (out / "normalised").is_dir():
        say(f"as seen:  {out / 'normalised'}")


def show_proof(scores: "Mapping[str, list[ClipScore]]", metrics: "Sequence[MetricBase]") -> None:
    """A line for each method whose weights are generated: how many clips came through, never a mean of anything."""
    say("weights: generated - these videos prove the wrappers; their scores stand in no leaderboard")
    for method, found in sorted(scores.items()):
        for metric in metrics:
            part = [score for score in found if score.metric == metric.name]
            scored = sum(score.reason is None for score in part)
            reasons = sorted({score.reason for score in part if score.reason is not None})
            say(f"{method:<14} {metric.label:<18} {scored} of {len(part)} clips scored  {'; '.join(reasons)}".rstrip())


def weights_used(metrics: "Sequence[MetricBase]") -> dict[str, str]:
    """SHA-256 of the model files that the metrics load, or what is wrong with them, for the run record."""
    from chdtf import weights

    found = {name: weights.check(name) for metric in metrics for name in metric.weights}
    return {name: one.weights.sha256 if one.state == "ok" else one.state for name, one in found.items()}
