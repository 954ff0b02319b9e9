"""A stage: one step over rows, where it may write, and the hashes that say when its work must be done again."""

import contextlib
import dataclasses
import fcntl
import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

import pyarrow as pa

from chdtf.columns import Row
from chdtf.errors import DiskFullError, Reject, Transient, UserError, is_disk_full
from chdtf.schema import OUTCOME, SCHEMA_VERSION

log = logging.getLogger(__name__)

DEFAULT_TIMEOUT_S = 1800.0
RUNNING = Path("work", "running")  # what only a run under way needs


@dataclasses.dataclass(frozen=True)
class Workspace:
    """Where a stage may write, below the dataset's root: files named by the clip and by what determines their content.

    That is the stage's configuration (`fingerprint`) and the row that it is given (`row`, a hash). So a run that is
    stopped after a setting or the manifest was changed leaves the files alone that rows of earlier runs name.
    """

    root: Path
    stage: str
    fingerprint: str
    # what an earlier stage of the same chain left in memory for a later one, such as decoded frames; never relied on:
    # a stage that does not find it works it out again, to the same result
    scratch: dict[str, Any] = dataclasses.field(default_factory=dict, compare=False)
    row: str = ""

    def file(self, name: str, suffix: str) -> Path:
        """Path for a file that is made of the row under way, which the clip or video `name` owns; its folder exists."""
        both = hashlib.sha256(f"{self.fingerprint} {self.row}".encode()).hexdigest() if self.row else self.fingerprint
        return self._path(f"{name}.{both[:8]}{suffix}")

    def shared_file(self, name: str, suffix: str) -> Path:
        """Path for a file that several rows may use, and whose content `name` determines; its folder exists."""
        return self._path(f"{name}.{self.fingerprint[:8]}{suffix}")

    def _path(self, name: str) -> Path:
        folder = self.root / "work" / "media" / self.stage
        folder.mkdir(parents=True, exist_ok=True)
        return folder / name

    @contextlib.contextmanager
    def held(self, name: str) -> Iterator[None]:
        """Hold something by that name against all other workers of this dataset; waits for who has it."""
        folder = self.root / RUNNING
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / f"{self.stage}-{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def relative(self, path: Path) -> str:
        """How a row names a file, so that a dataset can be moved and two builds are identical."""
        return path.relative_to(self.root).as_posix()

    def resolve(self, name: str) -> Path:
        """The file that a row names."""
        return self.root / name


@runtime_checkable
class Stage(Protocol):
    """A step over rows: a frozen dataclass whose fields are its configuration.

    A stage may also state `timeout_s` (ClassVar): how long one item, or the wait for its next row, may take before it
    counts as stuck; half an hour otherwise.
    """

    name: ClassVar[str]
    version: ClassVar[int]

    @property
    def adds(self) -> pa.Schema:
        """Columns that it adds (usually a ClassVar); a name that exists already is replaced."""
        ...

    def __hash__(self) -> int: ...

    def load(self) -> Any:
        """Load what `apply` needs (a detector, a network); once per worker and configuration."""
        ...

    def apply(self, row: Row, model: Any, workspace: Workspace) -> Iterable[Row]:
        """Return the row with its new columns, or several. Raises `Reject` or `Transient` to end this row only.

        A generator is resumed only after each row that it yielded has gone through all later stages.
        """
        ...


def timeout_s(stage: Stage) -> float:
    """Seconds after which the stage counts as stuck."""
    return float(getattr(stage, "timeout_s", DEFAULT_TIMEOUT_S))


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
    """Hash of a stage's configuration alone."""
    return stage_fingerprint(stage, "")


def extended_schema(schema: pa.Schema, adds: pa.Schema) -> pa.Schema:
    """Columns of `schema` not replaced by `adds`, then those of `adds`, then the outcome columns."""
    last = [*adds.names, *OUTCOME.names]
    kept = [field for field in schema if field.name not in last]
    return pa.schema([*kept, *(field for field in adds if field.name not in OUTCOME.names), *OUTCOME])


def has_ended(row: Row) -> bool:
    """Whether a row is in error or rejected: no stage looks at it any more."""
    return bool(row.get("error") or row.get("reject"))


def applied(stage: Stage, row: Row, model: Callable[[], Any], workspace: Workspace) -> Iterator[Row]:
    """The rows that a stage makes of one row, whatever happens: what it raises becomes the outcome of that row.

    A stage that breaks off after some rows leaves those, and the row itself with the reason. `model` is called to get
    the loaded model, only when it is needed.
    """
    if has_ended(row):
        yield row
        return
    loaded = model()  # a model that cannot be loaded ends the run, not the row
    try:
        yield from stage.apply(row, loaded, workspace)
    except Reject as reject:
        yield {**row, "reject": str(reject)}
    except Transient as error:
        yield {**row, "error": str(error)}
    except Exception as error:
        if isinstance(error, UserError):
            raise
        if is_disk_full(error):
            raise DiskFullError(workspace.root) from error
        said = f"{stage.name}: {type(error).__name__}: {error}"
        # the traceback with --debug only: the row carries the error, and the next run tries it again
        log.error("%s: stage %s", row["clip_id"], said, exc_info=log.isEnabledFor(logging.INFO))
        yield {**row, "error": said}
