"""A stage, a shard, and the rule by which a shard is kept or made again.

A shard is a Parquet file. Its metadata holds hashes: `fingerprint` says what made it (stage name, version, fields, and
the content it was made from), `content` says what is in it. A target that carries the expected fingerprint is kept; a
changed setting therefore makes again exactly what depends on it, and a changed result makes again what follows, while
an unchanged one does not. `config` and `inputs` say the same for each video: when only some of a shard's videos have
changed, or failed, only those are worked on again.
"""

import dataclasses
import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

import pyarrow as pa
import pyarrow.compute as pc
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
    # what an earlier stage of the same chain left in memory for a later one, such as decoded frames; never relied on:
    # a stage that does not find it works it out again, to the same result
    scratch: dict[str, Any] = dataclasses.field(default_factory=dict, compare=False)

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


def _readable(table: pa.Table) -> pa.Table:
    """The table with fixed-size list columns as plain lists: PyArrow cannot read their nulls back from Parquet."""
    fields = [
        field.with_type(pa.list_(field.type.value_type)) if pa.types.is_fixed_size_list(field.type) else field
        for field in table.schema
    ]
    return table.cast(pa.schema(fields))


def write_shard(table: pa.Table, path: Path, fingerprint: str, more: dict[str, str] | None = None) -> str:
    """Write a shard whole or not at all, with `more` as further metadata; returns its content hash."""
    table = _readable(table)
    content = content_hash(table)
    hashes = {"schema_version": str(SCHEMA_VERSION), "fingerprint": fingerprint, "content": content}
    tagged = table.replace_schema_metadata({**hashes, **(more or {})})
    with atomic_path(path) as temporary:
        pq.write_table(tagged, temporary, compression="zstd", write_page_checksum=True)
    return content


def _rebuild(path: Path) -> str:
    return f"rm {path} and run the same command again"


_UNREADABLE = (pa.ArrowException, OSError, UnicodeDecodeError)


def shard_metadata(path: Path) -> dict[str, str]:
    """Metadata of a shard. Raises `UserError` when the file is missing, corrupt or of another schema version."""
    try:
        raw = pq.read_schema(path).metadata or {}
        metadata = {key.decode(): value.decode() for key, value in raw.items()}
    except _UNREADABLE as error:
        raise UserError(f"{path}: not a readable shard ({_first_line(error)}); {_rebuild(path)}") from error
    check_version(metadata.get("schema_version", "unknown"), path, _rebuild(path))
    if not {"fingerprint", "content"} <= set(metadata):
        raise UserError(f"{path}: not a readable shard (its hashes are missing); {_rebuild(path)}")
    return metadata


def read_shard(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Read a shard. Raises `UserError` when it is missing, corrupt or of another schema version."""
    shard_metadata(path)
    try:
        return pq.read_table(path, columns=list(columns) if columns else None, page_checksum_verification=True)
    except _UNREADABLE as error:
        raise UserError(f"{path}: corrupt shard ({_first_line(error)}); {_rebuild(path)}") from error


def iter_rows(path: Path, columns: Sequence[str] | None = None) -> Iterator[Row]:
    """Rows of a shard one after another, holding one row group at a time. Raises as `read_shard` does."""
    shard_metadata(path)
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            for batch in file.iter_batches(batch_size=16, columns=list(columns) if columns else None):
                yield from rows_from_table(pa.Table.from_batches([batch]))
    except _UNREADABLE as error:
        raise UserError(f"{path}: corrupt shard ({_first_line(error)}); {_rebuild(path)}") from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def extended_schema(schema: pa.Schema, adds: pa.Schema) -> pa.Schema:
    """Columns of `schema` not replaced by `adds`, then those of `adds`, then the outcome columns."""
    last = [*adds.names, *OUTCOME.names]
    kept = [field for field in schema if field.name not in last]
    return pa.schema([*kept, *(field for field in adds if field.name not in OUTCOME.names), *OUTCOME])


def _apply_row(stage: Stage, row: Row, model: Callable[[], Any], workspace: Workspace) -> list[Row]:
    if row.get("error") or row.get("reject"):
        return [row]
    loaded = model()  # a model that cannot be loaded ends the run, not the row
    try:
        return list(stage.apply(row, loaded, workspace))
    except Reject as reject:
        return [{**row, "reject": str(reject)}]
    except Transient as error:
        return [{**row, "error": str(error)}]
    except Exception as error:
        if isinstance(error, UserError):
            raise
        if is_disk_full(error):
            raise DiskFullError(f"{workspace.root}: no space left; free some and run the same command again") from error
        said = f"{stage.name}: {type(error).__name__}: {error}"
        # the traceback with --debug only: the row carries the error, and the next run tries it again
        log.error("%s: stage %s", row["clip_id"], said, exc_info=log.isEnabledFor(logging.INFO))
        return [{**row, "error": said}]


def is_complete(stage: Stage, source: Path, target: Path) -> bool:
    """Whether `run_shard` would keep the target: made by this stage from this source, with no row to try again."""
    if not (source.exists() and target.exists()):
        return False
    if shard_metadata(target)["fingerprint"] != stage_fingerprint(stage, shard_metadata(source)["content"]):
        return False
    return not _in_error(read_shard(target, ["clip_id", "error"])) - _in_error(read_shard(source, ["clip_id", "error"]))


def _in_error(table: pa.Table) -> set[str]:
    """Ids of the rows in error; one that came so from the stage before is not for this stage to try again."""
    return set(table.filter(pc.is_valid(table.column("error"))).column("clip_id").to_pylist())


def _input_hashes(table: pa.Table) -> dict[str, str]:
    """Content hash of each video's rows."""
    ids = table.column("video_id")
    return {video_id: content_hash(table.filter(pc.equal(ids, video_id))) for video_id in ids.unique().to_pylist()}


def _reusable(target: Path, config: str, inputs: dict[str, str], inherited: set[str]) -> dict[str, list[Row]]:
    """Rows of an earlier run by video, where settings and input are the same and no error is the stage's own."""
    if not target.exists():
        return {}
    metadata = shard_metadata(target)
    if metadata.get("config") != config:
        return {}
    before = json.loads(metadata.get("inputs", "{}"))
    done: dict[str, list[Row]] = {}
    for row in rows_from_table(read_shard(target)):
        if inputs.get(row["video_id"]) == before.get(row["video_id"], "unknown"):
            done.setdefault(row["video_id"], []).append(row)
    return {
        video_id: rows
        for video_id, rows in done.items()
        if all(row["error"] is None or row["clip_id"] in inherited for row in rows)
    }


def run_shard(stage: Stage, model: Callable[[], Any], source: Path, target: Path, root: Path) -> ShardReport:
    """Run one stage over one shard: keep the target, finish what is missing in it, or make it anew.

    `model` is called to get the loaded model, only when a row needs it.
    """
    started = time.monotonic()
    table = read_shard(source)
    if is_complete(stage, source, target):
        return ShardReport(stage.name, True, table.num_rows, time.monotonic() - started)
    config = config_fingerprint(stage)
    inputs = _input_hashes(table)
    done = _reusable(target, config, inputs, _in_error(table))
    workspace = Workspace(root, stage.name, config)
    out: list[Row] = []
    emitted: set[str] = set()
    for row in rows_from_table(table):
        if row["video_id"] not in done:
            out += _apply_row(stage, row, model, workspace)
        elif row["video_id"] not in emitted:
            emitted.add(row["video_id"])
            out += done[row["video_id"]]
    result = table_from_rows(out, extended_schema(table.schema, stage.adds))
    fingerprint = stage_fingerprint(stage, shard_metadata(source)["content"])
    try:
        write_shard(result, target, fingerprint, {"config": config, "inputs": json.dumps(inputs)})
    except OSError as error:
        if is_disk_full(error):
            raise DiskFullError(f"{target}: no space left; free some and run the same command again") from error
        raise
    return ShardReport(stage.name, False, table.num_rows, time.monotonic() - started)
