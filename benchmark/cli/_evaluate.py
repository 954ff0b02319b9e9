"""A dataset's clips made by methods and scored beside ground truth and controls: what `disentbench run` does."""

import collections
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from benchmark.cli._console import progress, say
from benchmark.cli.build import SAMPLE
from chdtf.errors import UserError

if TYPE_CHECKING:
    from baselines.generate import Generated, Item
    from baselines.installation import Installation
    from baselines.method import Method
    from benchmark.clip_score import ScoreItem
    from benchmark.metric import MetricBase
    from benchmark.normalise import Normalise
    from benchmark.score import Runner
    from chdtf.clip import Clip
    from chdtf.record import RunRecord

_KINDS = {"reference": "ground_truth", "method": "method", "control": "control"}
NEEDS_TWO_CLIPS = "gt_shuffled"
_OURS: "Mapping[str, Installation]" = MappingProxyType({})


def evaluate(
    data: Path,
    split: str,
    methods: "Sequence[Method]",
    metrics: "Sequence[MetricBase]",
    results: Path,
    workers: int,
    runner: "Runner | None" = None,
    keep_normalised: bool = False,
    installations: "Mapping[str, Installation]" = _OURS,
    proof: bool = False,
    printed_everywhere: bool = False,
) -> int:
    """Generate, score and tabulate; returns the exit status: 1 when a method left a clip without a video.

    `installations` are those of wrapped methods; one with problems costs that method's rows their values. With `proof`
    the weights are generated ones: the scores are shown and kept, but no leaderboard is made of them. With
    `printed_everywhere` the paper's rows stand below data sets of any name.
    """
    from baselines.generate import stage_inputs
    from benchmark.bootstrap import SEED as BOOTSTRAP_SEED
    from benchmark.cli._board import make_folder
    from benchmark.cli._scoring import score_and_keep, show, show_proof, weights_used
    from benchmark.results import GENERATED_WEIGHTS
    from benchmark.withdrawn import withdrawn_clips
    from chdtf import tombstones
    from chdtf.record import RunRecord

    clips = clips_of(data, split)
    withdrawn = withdrawn_clips(clips, tombstones.find(dataset=data))
    if len(withdrawn) == len(clips):
        raise UserError(f"{data}: all clips of split {split!r} are withdrawn ({withdrawn[clips[0].clip_id]})")
    left = [clip for clip in clips if clip.clip_id not in withdrawn]
    methods = _fitting(methods, len(left))
    dataset, kinds = data.resolve().name, {method.name: _KINDS[method.role] for method in methods}
    config: dict[str, Any] = {"data": str(data), "split": split, "metrics": [metric.name for metric in metrics]}
    config |= {GENERATED_WEIGHTS: True} if proof else {}
    record = RunRecord.start(sys.argv, {**config, "dataset": dataset, "kinds": kinds, **_own_rows(methods)})
    record.inputs = {clip.clip_id: clip.video_id for clip in left}
    record.weights = weights_used(metrics)
    make_folder(results)
    record.write(results)
    outcome = "failed"
    try:
        items = {item.clip_id: item for item in stage_inputs(left, results / "inputs")}
        seeds = {clip_id: item.seed for clip_id, item in items.items()}
        record.config["seeds"] = {"bootstrap": BOOTSTRAP_SEED, "clips": seeds}
        made = {
            method.name: _generate(method, left, list(items.values()), results, record, installations.get(method.name))
            for method in methods
        }
        jobs = {
            method.name: [_score_item(method, clip, items, made[method.name], withdrawn, results) for clip in clips]
            for method in methods
        }
        normalise = {method.name: _normalise(method, proof) for method in methods}
        scores = score_and_keep(jobs, results, metrics, normalise, workers, runner, keep_normalised)
        if proof:
            show_proof(scores, metrics)
        else:
            show(scores, jobs, kinds, dataset, results, printed_everywhere)
        missing = [one for name in made if _can_run(installations, name) for one in made[name].values() if one.reason]
        outcome = "incomplete" if missing else "done"
    except KeyboardInterrupt:
        outcome = "interrupted"
        raise
    finally:
        record.finish(results, outcome)
    _tell(made, withdrawn, installations, results)
    return 1 if missing else 0


def _tell(
    made: "Mapping[str, Mapping[str, Generated]]",
    withdrawn: Mapping[str, str],
    installations: "Mapping[str, Installation]",
    results: Path,
) -> None:
    """Where the videos are, and which are not there, each with its reason."""
    say(f"videos:   {results / 'generated'}")
    for clip_id, words in withdrawn.items():
        say(f"left out: {clip_id}, {words}")
    for method_name, found in made.items():
        if not _can_run(installations, method_name):
            say(f"not installed: {method_name}: {installations[method_name].state}")
            continue
        for one in found.values():
            if one.reason:
                say(f"not generated: {method_name}, {one.clip_id}: {one.reason}")


def _can_run(installations: "Mapping[str, Installation]", name: str) -> bool:
    return name not in installations or not installations[name].problems


def _own_rows(methods: "Sequence[Method]") -> dict[str, dict[str, dict[str, str]]]:
    """What a record must say of methods that no folder below baselines/ describes: those with another checkpoint."""
    from chdtf.files import sha256_file

    own = [method for method in methods if method.folder]
    facts = {m.name: {"label": m.label, "input": m.input, "eye_blink": m.eye_blink} for m in own}
    files = {m.name: {"file": m.checkpoint, "sha256": sha256_file(Path(m.checkpoint))} for m in own}
    return {"facts": facts, "checkpoints": files} if own else {}


def clips_of(data: Path, split: str) -> "list[Clip]":
    """Clips of a split. Raises `UserError` when there is no dataset or the split is empty."""
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


def _fitting(methods: "Sequence[Method]", num_clips: int) -> "list[Method]":
    """The methods that a set of so many clips allows."""
    if num_clips > 1 or all(method.name != NEEDS_TWO_CLIPS for method in methods):
        return list(methods)
    say(f"left out: {NEEDS_TWO_CLIPS}, a set of one clip has no other clip's sound")
    return [method for method in methods if method.name != NEEDS_TWO_CLIPS]


def _generate(
    method: "Method",
    clips: "Sequence[Clip]",
    items: "Sequence[Item]",
    results: Path,
    record: "RunRecord",
    installation: "Installation | None",
) -> "dict[str, Generated]":
    """Make a method's videos; returns what became of every clip."""
    from baselines.generate import generate
    from baselines.stage import stage_extras

    record.config.setdefault("methods", {})[method.name] = method.fingerprint()
    can_run = installation is not None and not installation.problems
    with progress(f"Generating: {method.name}") as report:
        extras = stage_extras(method, clips, items, results / "inputs" / "derived") if can_run else {}
        made = generate(method, items, results / "generated" / method.name, report, installation, extras)
    if seconds := sum(one.seconds for one in made):
        record.details.setdefault("seconds_to_generate", {})[method.name] = round(seconds, 2)
    if installation is not None:
        record.details.setdefault("installations", {})[method.name] = installation.account()
    if memory := [one.gpu_memory_mb for one in made if one.gpu_memory_mb is not None]:
        record.details.setdefault("gpu_memory_mb", {})[method.name] = max(memory)
    return {one.clip_id: one for one in made}


def _normalise(method: "Method", generated: bool) -> "Normalise":
    """What is undone in a method's videos, as its `method.toml` says."""
    from baselines.installation import declared_panel
    from benchmark.normalise import Normalise

    return Normalise(
        panel=declared_panel(method, generated), offset_frames=method.frame_offset, geometry=method.geometry
    )


def _score_item(
    method: "Method",
    clip: "Clip",
    items: "dict[str, Item]",
    made: "dict[str, Generated]",
    withdrawn: dict[str, str],
    results: Path,
) -> "ScoreItem":
    """What is to be scored; of a clip that was withdrawn only the reason is told."""
    from benchmark.clip_score import ScoreItem

    item, one = items.get(clip.clip_id), made.get(clip.clip_id)
    return ScoreItem(
        clip_id=clip.clip_id,
        speaker_id=clip.speaker_id,
        language=clip.language,
        split=clip.split,
        generated=results / "generated" / method.name / f"{clip.clip_id}.mp4",
        reference=item.video if item else None,
        audio=None if method.audio == "own" or item is None else item.audio,
        problem=withdrawn.get(clip.clip_id) or (one.reason if one else None),
        # copying the reference is no generation
        generation_s=one.generation_s if one and method.role == "method" else None,
    )
