"""From results per clip to files: what the verbs that make tables share."""

import dataclasses
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.cli._console import say
from chdtf.errors import UserError

if TYPE_CHECKING:
    from benchmark.clip_score import ClipScore
    from benchmark.tables.board import Board, MethodFacts

TOLD = ("label", "input", "eye_blink")  # fields of `MethodFacts` that the user tells
KINDS = {"reference": "ground_truth", "method": "method", "control": "control"}  # by role in method.toml


def known_facts(names: Iterable[str]) -> "dict[str, MethodFacts]":
    """What the folders below baselines/ say of those of the methods that they hold."""
    from baselines.method import load_method, method_names
    from benchmark.tables.board import MethodFacts

    known = set(method_names())
    facts = {}
    for name in sorted(known & set(names)):
        method = load_method(name)
        facts[name] = MethodFacts(
            kind=KINDS[method.role],
            label=method.label,
            input=method.input,
            eye_blink=method.eye_blink,
            category=getattr(method, "category", ""),
            audio_shift_frames=getattr(method, "audio_shift_frames", None),
        )
    return facts


def method_notes(names: Iterable[str]) -> list[str]:
    """What must be read beside the numbers of wrapped methods: fixed style and pose clips, and deviations."""
    from baselines.method import load_method, method_names

    known = set(method_names())
    notes = []
    for name in sorted(known & set(names)):
        method = load_method(name)
        pinned = method.wrapped.run.pinned if method.wrapped else ()
        said = [f"fixed input {one.path} (sha256 {one.sha256[:12]})" for one in pinned]
        if told := "; ".join([*said, *(line.rstrip(".") for line in method.deviations)]):
            notes.append(f"{method.label}: {told}.")
    return notes


def with_recorded_facts(known: "Mapping[str, MethodFacts]", runs: Iterable[Path]) -> "dict[str, MethodFacts]":
    """What is known of methods, with what `disentbench score` was told of them and recorded below `runs`.

    What was told last counts, in whatever order the folders are named.
    """
    from benchmark.tables.board import MethodFacts

    records = {path for run in runs for path in (run / "runs").glob("*.json")}
    facts = dict(known)
    for path in sorted(records, key=lambda path: (path.name, path.read_bytes())):  # named by time
        try:
            told = json.loads(path.read_text(encoding="utf-8"))["config"].get("facts", {})
            given = {name: {key: one[key] for key in TOLD if one.get(key)} for name, one in told.items()}
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise UserError(f"{path}: not a readable run record ({error}); remove it, the scores stay") from error
        facts |= {name: dataclasses.replace(facts.get(name, MethodFacts()), **one) for name, one in given.items()}
    return facts


def make_folder(out: Path) -> None:
    """Make the folder of results. Raises `UserError` where that cannot be."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{out}: {error.strerror}; choose another folder for the results") from error


def write_and_show(
    board: "Board",
    scores: "Mapping[str, Mapping[str, Sequence[ClipScore]]]",
    files: Mapping[tuple[str, str, str], Path],
    out: Path,
) -> None:
    """Write all tables and the page below `out`, print the leaderboard, and say where everything is."""
    from rich.console import Console

    from benchmark.page import write_page
    from benchmark.paper import printed_tables
    from benchmark.tables import render_terminal, write_leaderboard
    from benchmark.tables.page_data import page_data

    table, markdown, latex, _ = write_leaderboard(board, out)
    videos = {key: Path(os.path.relpath(path, out.resolve())).as_posix() for key, path in files.items()}
    flat = {dataset: [score for part in found.values() for score in part] for dataset, found in scores.items()}
    page = write_page(page_data(board, flat, videos, printed_tables()), out)
    Console().print(render_terminal(board))
    for title, path in (("CSV", table), ("Markdown", markdown), ("LaTeX", latex), ("page", page)):
        say(f"{title + ':':<10}{path}")
