"""Generate a dataset's clips with methods, score them beside ground truth and controls, write the leaderboard."""

import collections
import dataclasses
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from benchmark.cli._console import progress, say
from benchmark.cli.build import SAMPLE
from chdtf.errors import UserError

if TYPE_CHECKING:
    from baselines.generate import Item
    from baselines.method import Method
    from benchmark.clip_score import ScoreItem
    from benchmark.metric import MetricBase
    from benchmark.summary import ScoreRow
    from chdtf.clip import Clip
    from chdtf.record import RunRecord

ALWAYS = ("gt", "gt_shifted", "still")  # the rows that every table needs to be read
_KINDS = {"reference": "ground_truth", "method": "method", "control": "control"}


@dataclasses.dataclass(frozen=True)
class Command:
    """Generate the test split of a dataset with methods, score every video alike, write the leaderboard.

    Ground truth, a still image and the ground truth with shifted sound are always scored beside the methods. Run the
    same command again to continue after an interruption; what is done is kept.
    """

    method: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME [NAME ...]")]
    """Methods by folder name below baselines/ (disentbench methods lists them)."""
    data: Annotated[Path, tyro.conf.arg(metavar="FOLDER")] = SAMPLE
    """A dataset made by disentbench build."""
    results: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")] = None
    """Where videos, scores and tables go. Default: results/NAME-OF-THE-DATASET."""
    metric: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME [NAME ...]")] = ()
    """Metrics to compute. Default: all."""
    split: str = "test"
    """Split whose clips are generated: train, val or test."""
    workers: int = os.cpu_count() or 1
    """Processes for scoring."""

    def run(self) -> int:
        """Generate, score, and print the leaderboard."""
        from baselines.method import load_method
        from benchmark.metric import get_metric, metric_names

        methods = [load_method(name) for name in dict.fromkeys(("gt", *self.method, *ALWAYS))]
        metrics = [get_metric(name) for name in self.metric or metric_names()]
        results = self.results or Path("results") / self.data.resolve().name
        return evaluate(self.data, self.split, methods, metrics, results, self.workers)


def _clips(data: Path, split: str) -> "list[Clip]":
    from chdtf.clip import read_clips

    if not data.is_dir():
        how = "make chdtf" if data == SAMPLE else f"disentbench build --manifest list.csv --out {data}"
        raise UserError(f"no dataset at {data}; build it with: {how}")
    clips = read_clips(data, split)
    if not clips:
        there = collections.Counter(clip.split for clip in read_clips(data))
        splits = ", ".join(f"{name} ({count} clips)" for name, count in there.items()) or "none, it is empty"
        raise UserError(f"{data}: no clips in split {split!r}; it has {splits}: choose with --split")
    return clips


def evaluate(
    data: Path, split: str, methods: "Sequence[Method]", metrics: "Sequence[MetricBase]", results: Path, workers: int
) -> int:
    """Generate, score and tabulate; returns the exit status: 1 when a method left a clip without a video."""
    from baselines.generate import stage_inputs
    from benchmark.withdrawn import withdrawn_clips
    from chdtf import tombstones
    from chdtf.record import RunRecord

    clips = _clips(data, split)
    withdrawn = withdrawn_clips(clips, tombstones.find(dataset=data))
    if len(withdrawn) == len(clips):
        raise UserError(f"{data}: all clips of split {split!r} are withdrawn ({withdrawn[clips[0].clip_id]})")
    left = [clip for clip in clips if clip.clip_id not in withdrawn]
    record = RunRecord.start(sys.argv, {"data": str(data), "split": split, "metrics": [m.name for m in metrics]})
    record.inputs = {clip.clip_id: clip.video_id for clip in left}
    record.write(results)
    outcome = "failed"
    try:
        items = stage_inputs(left, results / "inputs")
        problems = {method.name: _generate(method, items, results, record) for method in methods}
        missing = [f"{method}, {clip}: {why}" for method, found in problems.items() for clip, why in found.items()]
        by_clip = {item.clip_id: item for item in items}
        refused = {method: {**found, **withdrawn} for method, found in problems.items()}
        rows = _scored(methods, clips, by_clip, refused, metrics, data.resolve().name, results, workers)
        _tables(rows, results)
        outcome = "done" if not missing else "incomplete"
    except KeyboardInterrupt:
        outcome = "interrupted"
        raise
    finally:
        record.finish(results, outcome)
    for clip_id, words in withdrawn.items():
        say(f"left out: {clip_id}, {words}")
    for line in missing:
        say(f"not generated: {line}")
    return 1 if missing else 0


def _generate(method: "Method", items: "Sequence[Item]", results: Path, record: "RunRecord") -> dict[str, str]:
    """Make a method's videos; returns the reason for each clip without one."""
    from baselines.generate import generate

    record.config.setdefault("methods", {})[method.name] = method.fingerprint()
    with progress(f"Generating: {method.name}") as report:
        made = generate(method, items, results / "generated" / method.name, report)
    if seconds := sum(one.seconds for one in made):
        record.details.setdefault("seconds_to_generate", {})[method.name] = round(seconds, 2)
    return {one.clip_id: one.reason for one in made if one.reason}


def _scored(
    methods: "Sequence[Method]",
    clips: "Sequence[Clip]",
    items: "dict[str, Item]",
    problems: dict[str, dict[str, str]],
    metrics: "Sequence[MetricBase]",
    dataset: str,
    results: Path,
    workers: int,
) -> "list[ScoreRow]":
    """Score all methods' videos, in one pool of workers."""
    from benchmark.score import score_all
    from benchmark.summary import summarise

    jobs = {
        method.name: [
            _score_item(method, clip, items.get(clip.clip_id), problems[method.name].get(clip.clip_id), results)
            for clip in clips
        ]
        for method in methods
    }
    with progress("Scoring") as report:
        scores = score_all(jobs, results, metrics, workers, report)
    # the run id stays out of the tables: the same inputs give the same bytes; runs/ tells which run made them
    return [
        row
        for method in methods
        for row in summarise(scores[method.name], metrics, dataset, run_id="", kind=_KINDS[method.role])
    ]


def _score_item(method: "Method", clip: "Clip", item: "Item | None", problem: str | None, results: Path) -> "ScoreItem":
    """What is to be scored; without an `item` (a clip that was withdrawn) only the problem is told."""
    from benchmark.clip_score import ScoreItem

    return ScoreItem(
        clip_id=clip.clip_id,
        speaker_id=clip.speaker_id,
        language=clip.language,
        split=clip.split,
        generated=results / "generated" / method.name / f"{clip.clip_id}.mp4",
        reference=item.video if item else None,
        audio=None if method.audio == "own" or item is None else item.audio,
        problem=problem,
    )


def _tables(rows: "Sequence[ScoreRow]", results: Path) -> None:
    from rich.console import Console

    from benchmark.leaderboard import render_terminal, write_leaderboard

    table, page = write_leaderboard(rows, results)
    Console().print(render_terminal(rows))
    say(f"CSV:      {table}")
    say(f"Markdown: {page}")
    say(f"videos:   {results / 'generated'}")
    say(f"per clip: {results / 'scores'}")
