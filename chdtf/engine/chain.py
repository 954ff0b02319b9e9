"""One shard's way through all stages, depth first: each row goes as far as it can before the next one begins.

So what a stage leaves in memory is still there for the next, a source is decoded once, memory is bounded by one clip,
and what is finished is in the journals, row by row: a run that was killed goes on from there, to the same bytes.
"""

import dataclasses
import functools
import hashlib
import json
import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from chdtf.columns import Row, rows_from_table, table_from_rows
from chdtf.engine.plan import write_input
from chdtf.engine.shards import (
    ShardRows,
    content_hash,
    iter_rows,
    readable_schema,
    row_hash,
    shard_metadata,
)
from chdtf.engine.stage import (
    Stage,
    Workspace,
    applied,
    config_fingerprint,
    extended_schema,
    has_ended,
    stage_fingerprint,
    timeout_s,
)
from chdtf.engine.step_log import Model, ShardReport, Step, StepLog
from chdtf.engine.watch import NoWatch, Watch

Blocks = Callable[[Mapping[str, Any]], str | None]


class Tombstones(Protocol):
    """Which sources must not be used: `chdtf.tombstones.Tombstones`."""

    def blocks(self, row: Mapping[str, Any]) -> str | None:
        """Why the row must not be used, or None."""
        ...


@dataclasses.dataclass(frozen=True)
class Chain:
    """One shard's way through all stages: `work/<step>_<stage>/shard-<index>.parquet` for each."""

    root: Path
    index: int
    stages: tuple[Stage, ...]
    tombstones: Tombstones | None = None
    content: str | None = None  # of its input, which comes from the plan; None: the input shard is there already

    def path(self, step: int) -> Path:
        """The shard after `step` stages; 0 is the input, written from the manifest."""
        name = self.stages[step - 1].name if step else "manifest"
        return self.root / "work" / f"{step:02d}_{name}" / f"shard-{self.index:05d}.parquet"

    @property
    def result(self) -> Path:
        """The shard after the last stage."""
        return self.path(len(self.stages))

    @property
    def steps(self) -> tuple[Step, ...]:
        """What each stage reads and writes."""
        return tuple((self.path(step), self.path(step + 1)) for step in range(len(self.stages)))

    @property
    def blocks(self) -> Blocks | None:
        """Why a row must not be used; None when there are no tombstones."""
        return None if self.tombstones is None else self.tombstones.blocks

    @property
    def has_input(self) -> bool:
        """Whether the input shard is there, and is the planned one."""
        path = self.path(0)
        return path.exists() and self.content in (None, shard_metadata(path)["content"])


def _key(row_hash_: str, words: str | None) -> str:
    """What a row's outcome is filed under; a tombstone set or lifted is another outcome."""
    return row_hash_ if words is None else hashlib.sha256(f"{row_hash_} {words}".encode()).hexdigest()


def is_complete(stage: Stage, source: Path, target: Path, blocks: Blocks | None = None) -> bool:
    """Whether the target stands: made by this stage from this source, with no row to try again."""
    if not (source.exists() and target.exists()):
        return False
    made, given = shard_metadata(target), shard_metadata(source)
    if made["fingerprint"] != stage_fingerprint(stage, given["content"]):
        return False
    inputs = json.loads(made.get("inputs", "[]"))
    if any(is_error for _, _, is_error in inputs):
        return False
    blocked = json.loads(made.get("blocked", "[]"))
    return not (blocks or blocked) or blocked == _blocked(source, blocks)


def _blocked(source: Path, blocks: Blocks | None) -> list[list[Any]]:
    """Numbers of the source's rows that a tombstone stands for, each with its words."""
    if blocks is None:
        return []
    names = [field.name for field in pq.read_schema(source) if not pa.types.is_nested(field.type)]
    rows = enumerate(iter_rows(source, names))
    return [[number, words] for number, row in rows if (words := blocks(row)) and not has_ended(row)]


def chain_is_complete(chain: Chain) -> bool:
    """Whether `run_chain` would keep every shard; asked without loading any model or starting any process."""
    return chain.has_input and all(
        is_complete(stage, source, target, chain.blocks)
        for stage, (source, target) in zip(chain.stages, chain.steps, strict=True)
    )


@functools.lru_cache(maxsize=16)
def _loaded(stage: Hashable) -> Any:
    """The stage's model, loaded once per process and configuration."""
    assert isinstance(stage, Stage)
    return stage.load()


def run_chain(chain: Chain, watched: bool = False) -> list[ShardReport]:
    """Run every stage over one shard: keep what stands, finish what is missing, make anew what changed.

    `watched` (for processes that may be ended): a stage that is stuck ends this process, and whoever runs the chain
    again finds that row given up.
    """
    models = [functools.partial(_loaded, stage) for stage in chain.stages]
    if chain.content is not None and not chain.has_input:
        write_input(chain.root, chain.index, chain.content, chain.path(0))
    if not watched:
        return run_stages(chain.stages, models, chain.steps, chain.root, NoWatch(), chain.blocks)
    with Watch(chain.root, chain.index) as watch:
        return run_stages(chain.stages, models, chain.steps, chain.root, watch, chain.blocks)


def run_shard(stage: Stage, model: Model, source: Path, target: Path, root: Path) -> ShardReport:
    """Run one stage over one shard."""
    return run_stages([stage], [model], [(source, target)], root)[0]


def run_stages(
    stages: Sequence[Stage],
    models: Sequence[Model],
    steps: Sequence[Step],
    root: Path,
    watch: "Watch | NoWatch | None" = None,
    blocks: Blocks | None = None,
) -> list[ShardReport]:
    """Run stages over one shard, each from its source to its target; `models` give the loaded models when asked."""
    complete = [is_complete(stage, *step, blocks) for stage, step in zip(stages, steps, strict=True)]
    first = complete.index(False) if False in complete else len(stages)
    reports = [ShardReport(stage.name, True, 0, 0.0) for stage in stages[:first]]
    if first < len(stages):
        todo = list(zip(stages, models, steps, strict=True))[first:]
        reports += _Run(root, todo, watch or NoWatch(), blocks).reports()
    return reports


class _Run:
    """Takes the rows of one shard through the steps that are not complete."""

    def __init__(
        self, root: Path, todo: Sequence[tuple[Stage, Model, Step]], watch: Watch | NoWatch, blocks: Blocks | None
    ) -> None:
        self.watch, self.blocks = watch, blocks
        self.source = todo[0][2][0]
        self.steps: list[StepLog] = []
        scratch: dict[str, Any] = {}
        shard_metadata(self.source)  # says what is wrong with it, if anything is
        schema = pq.read_schema(self.source).remove_metadata()
        for stage, model, step in todo:
            schema = readable_schema(extended_schema(schema, stage.adds))
            workspace = Workspace(root, stage.name, config_fingerprint(stage), scratch)
            self.steps.append(StepLog(stage, model, step, schema, workspace))

    def reports(self) -> list[ShardReport]:
        """Work through the shard, and write every step's target."""
        reports = []
        try:
            rows = self._work()
            for step in self.steps:
                report, rows = step.finish(rows)
                reports.append(report)
        finally:
            for step in self.steps:
                step.close()
        return reports

    def _work(self) -> list[str]:
        """Take every row as far as it goes; returns the hashes of the source's rows."""
        with ShardRows(self.source) as source:
            schema = pq.read_schema(self.source).remove_metadata()
            noted = json.loads(shard_metadata(self.source).get("rows", "null"))
            hashes = noted or [row_hash(source.row(number), schema) for number in range(len(source))]
            for number, row in enumerate(hashes):
                self._advance(0, row, functools.partial(source.row, number))
        return hashes

    def _advance(self, number: int, row_id: str, load: Callable[[], Row]) -> None:
        """Take one row, known by its hash and read only when that is needed, through step `number` and all after."""
        if number == len(self.steps):
            return
        step = self.steps[number]
        words = None
        if self.blocks is not None:
            row = load()
            words = None if has_ended(row) else self.blocks(row)
            if words is not None:
                step.aliases[row_id] = _key(row_id, words), words
        key = step.key(row_id)
        made = step.known(key)
        if made is None:
            self._make(number, key, load(), words)
            return
        for place, one in enumerate(made):
            self._advance(number + 1, one, functools.partial(step.row, key, place))

    def _make(self, number: int, key: str, row: Row, words: str | None) -> None:
        """Apply a step to a row; each row that comes out goes on before the next is asked for."""
        step = self.steps[number]
        tables: list[pa.Table] = []
        hashes: list[str] = []
        is_error = False
        rows = self._applied(step, key, row, words)
        while (out := self._next(step, row, rows)) is not None:
            is_error |= bool(out.get("error")) and not row.get("error")
            tables.append(table_from_rows([out], step.schema))
            hashes.append(content_hash(tables[-1]))
            # as a later run would read it, so that it goes the same way then
            self._advance(number + 1, hashes[-1], functools.partial(_only_row, tables[-1]))
        if not tables:
            raise ValueError(f"stage {step.stage.name} made nothing of {row['clip_id']}: a row never disappears")
        step.add(key, tables, hashes, is_error)

    def _applied(self, step: StepLog, key: str, row: Row, words: str | None) -> Iterator[Row]:
        if words is not None:
            return iter([{**row, "reject": words}])
        if (given_up := self.watch.given_up(step.stage.name, row["clip_id"])) and not has_ended(row):
            return iter([{**row, "error": given_up}])
        return applied(step.stage, row, step.model, dataclasses.replace(step.workspace, row=key))

    def _next(self, step: StepLog, row: Row, rows: Iterator[Row]) -> Row | None:
        self.watch.begin(step.stage.name, row["clip_id"], timeout_s(step.stage))
        started = time.monotonic()
        try:
            return next(rows, None)
        finally:
            step.seconds += time.monotonic() - started
            self.watch.end()


def _only_row(table: pa.Table) -> Row:
    return rows_from_table(table)[0]
