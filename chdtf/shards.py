"""A stage, a shard, and the rule by which a shard is kept or made again.

A shard is a Parquet file. Its metadata holds two hashes: `fingerprint` says what made it (stage name, version, fields,
and the content it was made from), `content` says what is in it. A target that carries the expected fingerprint is
kept; a changed setting therefore makes again exactly what depends on it, and a changed result makes again what
follows, while an unchanged one does not.
"""

import dataclasses
import hashlib
import json
import logging
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

import pyarrow as pa
import pyarrow.parquet as pq

from chdtf.columns import Row, rows_from_table, table_from_rows
from chdtf.errors import DiskFullError, Reject, Transient, UserError, is_disk_full
from chdtf.files import atomic_path
from chdtf.schema import OUTCOME, SCHEMA_VERSION, check_version

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Workspace:
    """Where a stage may write: media files named by clip and fingerprint, below the dataset's root."""

    root: Path
    stage: str
    fingerprint: str

    def file(self, name: str, suffix: str) -> Path:
        """Path for a file that belongs to the clip or video `name`; its folder exists."""
        folder = self.root / "work" / "media" / self.stage
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{name}.{self.fingerprint[:8]}{suffix}"

    def relative(self, path: Path) -> str:
        """How a row names a file, so that a dataset can be moved and two builds are identical."""
        return path.relative_to(self.root).as_posix()

    def resolve(self, name: str) -> Path:
        """The file that a row names."""
        return self.root / name


@runtime_checkable
class Stage(Protocol):
    """A step over rows: a frozen dataclass whose fields are its configuration."""

    name: ClassVar[str]
    version: ClassVar[int]
    adds: ClassVar[pa.Schema]  # columns that it adds; a name that exists already is replaced

    def __hash__(self) -> int: ...

    def load(self) -> Any:
        """Load what `apply` needs (a detector, a network); once per worker and configuration."""
        ...

    def apply(self, row: Row, model: Any, workspace: Workspace) -> Iterable[Row]:
        """Return the row with its new columns, or several. Raises `Reject` or `Transient` to end this row only."""
        ...


@dataclasses.dataclass(frozen=True)
class ShardReport:
    """What `run_shard` did to one shard."""

    stage: str
    kept: bool
    rows: int
    seconds: float


def stage_fingerprint(stage: Stage, parent_content: str) -> str:
    """Hash of what determines a stage's output: its name, version, fields, and the content of its input.

    Left out are fields declared with `metadata={"fingerprint": False}`: where inputs lie, how long to wait.
    """
    fields = dataclasses.asdict(stage)  # type: ignore[call-overload]
    for field in dataclasses.fields(stage):  # type: ignore[arg-type]
        if not field.metadata.get("fingerprint", True):
            del fields[field.name]
    text = json.dumps([SCHEMA_VERSION, stage.name, stage.version, fields, parent_content], default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def config_fingerprint(stage: Stage) -> str:
    """Hash of a stage's configuration alone; names media files, so that rows do not depend on their neighbours."""
    return stage_fingerprint(stage, "")


def content_hash(table: pa.Table) -> str:
    """Hash of a table's values and types, independent of chunks and metadata."""
    sink = pa.BufferOutputStream()
    plain = table.combine_chunks().replace_schema_metadata(None)
    with pa.ipc.new_stream(sink, plain.schema) as writer:
        writer.write_table(plain)
    return hashlib.sha256(sink.getvalue()).hexdigest()


def write_shard(table: pa.Table, path: Path, fingerprint: str) -> str:
    """Write a shard whole or not at all; returns its content hash."""
    content = content_hash(table)
    metadata = {"schema_version": str(SCHEMA_VERSION), "fingerprint": fingerprint, "content": content}
    with atomic_path(path) as temporary:
        pq.write_table(table.replace_schema_metadata(metadata), temporary, compression="zstd")
    return content


def _rebuild(path: Path) -> str:
    return f"rm {path} and run the same command again"


def shard_metadata(path: Path) -> dict[str, str]:
    """Metadata of a shard. Raises `UserError` when the file is corrupt or of another schema version."""
    try:
        raw = pq.read_schema(path).metadata or {}
    except (pa.ArrowInvalid, pa.ArrowIOError, OSError) as error:
        raise UserError(f"{path}: not a readable shard ({str(error).splitlines()[0]}); {_rebuild(path)}") from error
    metadata = {key.decode(): value.decode() for key, value in raw.items()}
    check_version(metadata.get("schema_version", "unknown"), path, _rebuild(path))
    return metadata


def read_shard(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Read a shard. Raises `UserError` when it is corrupt or of another schema version."""
    shard_metadata(path)
    try:
        return pq.read_table(path, columns=list(columns) if columns else None)
    except (pa.ArrowInvalid, pa.ArrowIOError, OSError) as error:
        raise UserError(f"{path}: corrupt shard ({str(error).splitlines()[0]}); {_rebuild(path)}") from error


def extended_schema(schema: pa.Schema, adds: pa.Schema) -> pa.Schema:
    """Columns of `schema` not replaced by `adds`, then those of `adds`, then the outcome columns."""
    last = [*adds.names, *OUTCOME.names]
    kept = [field for field in schema if field.name not in last]
    return pa.schema([*kept, *(field for field in adds if field.name not in OUTCOME.names), *OUTCOME])


def _apply_row(stage: Stage, row: Row, model: Any, workspace: Workspace) -> list[Row]:
    if row.get("error") or row.get("reject"):
        return [row]
    try:
        return list(stage.apply(row, model, workspace))
    except Reject as reject:
        return [{**row, "reject": str(reject)}]
    except Transient as error:
        return [{**row, "error": str(error)}]
    except Exception as error:
        if isinstance(error, UserError):
            raise
        if is_disk_full(error):
            raise DiskFullError(f"{workspace.root}: no space left; free some and run the same command again") from error
        log.exception("stage %s failed on %s", stage.name, row["clip_id"])
        return [{**row, "error": f"{stage.name}: {type(error).__name__}: {error}"}]


def run_shard(stage: Stage, model: Any, source: Path, target: Path, root: Path) -> ShardReport:
    """Run one stage over one shard: keep the target, finish its rows in error, or make it anew.

    `model` is called to get the loaded model, only when a row needs it.
    """
    started = time.monotonic()
    fingerprint = stage_fingerprint(stage, shard_metadata(source)["content"])
    done: dict[str, list[Row]] = {}
    made = target.exists() and shard_metadata(target).get("fingerprint") == fingerprint
    if made:
        for row in rows_from_table(read_shard(target)):
            done.setdefault(row["video_id"], []).append(row)
        done = {video_id: rows for video_id, rows in done.items() if not any(row["error"] for row in rows)}
    table = read_shard(source)
    rows = rows_from_table(table)
    if made and all(row["video_id"] in done or row["error"] for row in rows):
        return ShardReport(stage.name, True, len(rows), time.monotonic() - started)
    workspace = Workspace(root, stage.name, config_fingerprint(stage))
    out: list[Row] = []
    emitted: set[str] = set()
    for row in rows:
        if row["video_id"] not in done:
            out += _apply_row(stage, row, model() if not (row["error"] or row["reject"]) else None, workspace)
        elif row["video_id"] not in emitted:
            emitted.add(row["video_id"])
            out += done[row["video_id"]]
    result = table_from_rows(out, extended_schema(table.schema, stage.adds))
    try:
        write_shard(result, target, fingerprint)
    except OSError as error:
        if is_disk_full(error):
            raise DiskFullError(f"{target}: no space left; free some and run the same command again") from error
        raise
    return ShardReport(stage.name, False, len(rows), time.monotonic() - started)
