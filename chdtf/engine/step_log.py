"""What one step has made of one shard, in earlier runs and now, and the shard that it writes of that in the end."""

import dataclasses
import itertools
import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from chdtf.columns import Row, rows_from_table
from chdtf.engine.journal import Journal
from chdtf.engine.shards import ShardRows, content_of_rows, shard_metadata, write_tables
from chdtf.engine.stage import Stage, Workspace, stage_fingerprint
from chdtf.errors import DiskFullError, is_disk_full

Step = tuple[Path, Path]  # the shard that a step reads, and the one that it writes
Model = Callable[[], Any]


@dataclasses.dataclass(frozen=True)
class ShardReport:
    """What was done to one shard of one stage."""

    stage: str
    kept: bool  # nothing was worked on, and the file was left alone
    rows: int  # that were worked on
    seconds: float


class StepLog:
    """What one step has made of its shard: in earlier runs (its old target, its journal), and now."""

    def __init__(self, stage: Stage, model: Model, step: Step, schema: pa.Schema, workspace: Workspace) -> None:
        self.stage, self.model, self.schema, self.workspace = stage, model, schema, workspace
        self.source, self.target = step
        self.config = workspace.fingerprint
        # hash of a row that a tombstone stands for -> what it is filed under, and the tombstone's words
        self.aliases: dict[str, tuple[str, str]] = {}
        self.worked_on = 0
        self.seconds = 0.0
        self._old: ShardRows | None = None
        self._old_rows: dict[str, tuple[int, tuple[str, ...]]] = {}  # key -> number of the first row, hashes
        self._journal = Journal(self.target.with_suffix(f".{self.config[:8]}.journal"), schema)
        self._made = shard_metadata(self.target) if self.target.exists() else {}
        if self._made.get("config") == self.config:
            self._old = ShardRows(self.target)
            hashes = json.loads(self._made["rows"])
            number = 0
            for key, count, is_error in json.loads(self._made["inputs"]):
                if not is_error:
                    self._old_rows[key] = number, tuple(hashes[number : number + count])
                number += count

    def key(self, row_id: str) -> str:
        """What the outcome of a row, known by its hash, is filed under."""
        return self.aliases[row_id][0] if row_id in self.aliases else row_id

    def known(self, key: str) -> tuple[str, ...] | None:
        """Hashes of the rows that the row of this key became, when that is known and stands."""
        if entry := self._journal.entries.get(key):
            return entry.rows
        return self._old_rows[key][1] if key in self._old_rows else None

    def row(self, key: str, number: int) -> Row:
        """One of the rows that the row of this key became."""
        return rows_from_table(next(itertools.islice(self._tables(key), number, None)))[0]

    def add(self, key: str, tables: Sequence[pa.Table], rows: Sequence[str], is_error: bool) -> None:
        """File what a row became. Raises `DiskFullError`."""
        try:
            self._journal.append(key, pa.concat_tables(tables), rows, is_error)
        except OSError as error:
            if is_disk_full(error):
                raise DiskFullError(self.target) from error
            raise
        self.worked_on += 1

    def _tables(self, key: str) -> Iterator[pa.Table]:
        if key in self._journal.entries:
            yield self._journal.table(key)
            return
        assert self._old is not None
        start, rows = self._old_rows[key]
        yield from self._old.tables(start, len(rows))

    def finish(self, given: Sequence[str]) -> tuple[ShardReport, list[str]]:
        """Write the target, unless it stands as it is; `given` are the hashes of the source's rows, in order.

        Returns what was done, and the hashes of the target's rows.
        """
        started = time.monotonic()
        keys = [self.key(row) for row in given]
        made = [self.known(key) or () for key in keys]
        rows = [row for some in made for row in some]
        failed = {key for key, entry in self._journal.entries.items() if entry.is_error}
        metadata = {
            "fingerprint": stage_fingerprint(self.stage, shard_metadata(self.source)["content"]),
            "content": content_of_rows(rows),
            "config": self.config,
            "rows": json.dumps(rows),
            "inputs": json.dumps([[key, len(some), key in failed] for key, some in zip(keys, made, strict=True)]),
            "blocked": json.dumps([[n, self.aliases[row][1]] for n, row in enumerate(given) if row in self.aliases]),
        }
        is_kept = all(self._made.get(name) == value for name, value in metadata.items()) and not failed
        if not is_kept:
            tables = (table for key in keys for table in self._tables(key))
            write_tables(tables, self.schema, self.target, metadata)
        self._journal.remove()
        seconds = self.seconds + time.monotonic() - started
        return ShardReport(self.stage.name, is_kept and not self.worked_on, self.worked_on, seconds), rows

    def close(self) -> None:
        """Close what is open; what was filed stays."""
        self._journal.close()
        if self._old is not None:
            self._old.close()
