"""Merge the results of runs, made on any machines, into one leaderboard: CSV, Markdown, LaTeX and a page."""

import dataclasses
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from benchmark.cli._console import say
from chdtf.errors import UserError

if TYPE_CHECKING:
    from benchmark.tables.board import Board

_TABLES = ("I", "II", "IV")


@dataclasses.dataclass(frozen=True)
class Command:
    """Merge result folders of disentbench run and score, and write leaderboard.csv, .md, .tex and .html.

    Scores of a metric that differ in version, options or weights are refused, and so are two videos of one clip. Rows
    on other clips or references are shown and not ranked. Ground truth and controls must pass the gates; where one
    fails the tables say so, and the exit status is 1. The same inputs in any order give the same CSV.
    """

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN [RUN ...]")]
    """Folders that disentbench run or score wrote."""
    out: Annotated[Path, tyro.conf.arg(metavar="FOLDER")] = Path("leaderboard")
    """Where the tables go."""
    dataset: Annotated[str, tyro.conf.arg(metavar="NAME")] = ""
    """Name of the data set of all runs. Default: what each run recorded."""
    paper: Annotated[tuple[str, ...], tyro.conf.arg(metavar="TABLE [TABLE ...]")] = ("I", "II")
    """Tables of the paper (I, II, IV) whose rows stand beside data sets called hdtf, chdtf or voxceleb2; or none."""
    hub_dataset: Annotated[str, tyro.conf.arg(metavar="ORG/NAME")] = ""
    """Write eval_results/METHOD.yaml for the Hugging Face Hub, for this benchmark there."""
    hub_revision: str = ""
    """Revision of that data set."""
    hub_date: Annotated[str, tyro.conf.arg(metavar="YYYY-MM-DD")] = ""
    """When the evaluation was run. Default: left to the Hub."""
    hub_source: Annotated[str, tyro.conf.arg(metavar="URL")] = ""
    """Where the results can be checked."""

    def run(self) -> int:
        """Merge, judge, write, print."""
        from benchmark.cli._board import known_facts, make_folder, method_notes, with_recorded_facts, write_and_show
        from benchmark.results import merge, read_results
        from benchmark.tables.make import facts_of_kinds, make_board
        from benchmark.withdrawn import is_withdrawn
        from chdtf import tombstones
        from chdtf.files import sha256_file
        from chdtf.record import RunRecord

        printed = self._printed()
        self._check_hub()
        if not self.runs:
            raise UserError("no run given; name folders that disentbench run or score wrote")
        record = RunRecord.start(sys.argv, {"leaderboard": dataclasses.asdict(self)})
        record.inputs = {
            str(path): sha256_file(path) for run in self.runs for path in (run / "scores").glob("*.parquet")
        }
        merged = merge([read_results(run, self.dataset) for run in dict.fromkeys(self.runs)], tombstones.find())
        methods = {method for found in merged.scores.values() for method in found}
        found_in = [(name, s) for found in merged.scores.values() for name, part in found.items() for s in part]
        scored = {name for name, score in found_in if score.reason is None}
        facts = facts_of_kinds(merged.kinds, with_recorded_facts(known_facts(methods), self.runs))
        board = make_board(merged.scores, facts, printed, (*merged.notes, *method_notes(scored)))
        make_folder(self.out)
        write_and_show(board, merged.scores, merged.files, self.out)
        self._write_hub(board, sorted(merged.scores))
        failed = sum(gate.state == "failed" for gate in board.gates)
        record.finish(self.out, "gates failed" if failed else "done")
        left_out = {s.clip_id: s.reason for found in merged.scores.values() for m in found.values() for s in m}
        for clip_id, words in sorted(left_out.items()):
            if is_withdrawn(words):
                say(f"left out: {clip_id}, {words}")
        if failed:
            say(f"{failed} gate{'s' * (failed != 1)} failed: do not trust these tables")
        return 1 if failed else 0

    def _printed(self) -> tuple[str, ...]:
        if self.paper == ("none",):
            return ()
        unknown = [name for name in self.paper if name not in _TABLES]
        if unknown:
            raise UserError(f"--paper {unknown[0]}: the paper's tables of methods are I, II and IV; or give none")
        return self.paper

    def _check_hub(self) -> None:
        if self.hub_dataset and not re.fullmatch(r"[\w.-]+/[\w.-]+", self.hub_dataset):
            raise UserError(f"--hub-dataset {self.hub_dataset}: give ORGANISATION/NAME of a data set on the Hub")
        if self.hub_date and not re.fullmatch(r"\d{4}-\d\d-\d\d(T[\d:.+Z-]+)?", self.hub_date):
            raise UserError(f"--hub-date {self.hub_date}: give a date such as 2026-01-31")

    def _write_hub(self, board: "Board", datasets: list[str]) -> None:
        from benchmark.tables.hub import Benchmark, eval_results
        from chdtf.files import write_text

        if not self.hub_dataset:
            return
        if len(datasets) > 1:
            raise UserError(
                f"--hub-dataset is for one data set, the runs hold {', '.join(datasets)}: merge those apart"
            )
        about = Benchmark(self.hub_dataset, self.hub_revision, self.hub_date, self.hub_source)
        for method, text in eval_results(board, datasets[0], about).items():
            path = self.out / "eval_results" / f"{method}.yaml"
            write_text(path, text)
            say(f"Hub:      {path}: copy to .eval_results/ of the model's repository")
