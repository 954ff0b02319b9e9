"""What `method.toml` says of a method whose code is somebody else's: how it is run, on what, with which weights."""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any, TypeVar

from chdtf.errors import UserError

T = TypeVar("T")
UNKNOWN = "unknown"
DEVICES = ("cuda", "cpu")
SEEDS = ("deterministic", "argument", "fixed", "shim")
ACCESS = ("public", "form", "email")


@dataclasses.dataclass(frozen=True)
class PinnedFile:
    """A file of upstream's checkout that serves as style or pose clip for every video; tables publish it."""

    path: str
    sha256: str

    def __post_init__(self) -> None:
        _hex("pinned", self.path, self.sha256)


@dataclasses.dataclass(frozen=True)
class WeightFile:
    """A file that upstream needs beside its checkout, at `path` relative to the folder that it runs in."""

    path: str
    url: str
    sha256: str = UNKNOWN  # of a file that nobody could fetch yet: the first one seen is trusted, and noted
    size_bytes: int = 0  # 0: unknown
    access: str = "public"  # form, email: its authors are to be asked
    license: str = UNKNOWN
    generated: bool = True  # False: a run with generated weights has a stand-in for what reads it

    def __post_init__(self) -> None:
        _inside("weights", self.path)
        if self.sha256 != UNKNOWN:
            _hex("weights", self.path, self.sha256)
        if self.access not in ACCESS:
            raise UserError(f"weights {self.path}: access = {self.access!r}, not one of {', '.join(ACCESS)}")


@dataclasses.dataclass(frozen=True)
class Run:
    """How upstream's own command is run, in a folder that shows its checkout with the weights in place.

    `command` and `output` hold placeholders: `{python}`, `{name}` (of every staged file), `{seed}`, `{num_frames}`,
    `{device}`, `{output}`, the inputs by name, and what the method's driver adds. `output` is the pattern of the one
    file that a run writes. `build` is installed before the requirements, which are then built without isolation.
    """

    python: str  # version that requirements.txt is pinned for: "3.10"
    command: tuple[str, ...]
    output: str
    build: tuple[str, ...] = ()
    devices: tuple[str, ...] = DEVICES
    shims: tuple[str, ...] = ()
    cpu_shims: tuple[str, ...] = ()
    cpu_arguments: tuple[str, ...] = ()
    stubs: tuple[str, ...] = ()
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)
    pinned: tuple[PinnedFile, ...] = ()

    def __post_init__(self) -> None:
        if not re.fullmatch(r"3\.\d+", self.python):
            raise UserError(f'run: python = {self.python!r}; give a version such as "3.10"')
        if not self.command or not self.output:
            raise UserError("run: command and output must not be empty")
        if not self.devices or not set(self.devices) <= set(DEVICES):
            raise UserError(f"run: devices = {list(self.devices)}, not among {', '.join(DEVICES)}")
        _inside("run.output", self.output)


@dataclasses.dataclass(frozen=True)
class GeneratedRun:
    """What a run with generated weights does differently: such a run proves the wrapper, and is never ranked."""

    arguments: tuple[str, ...] = ()
    shims: tuple[str, ...] = ()
    stubs: tuple[str, ...] = ()
    panel: tuple[int, int, int, int] | None = None
    size_px: int = 0  # 0: as in a real run


@dataclasses.dataclass(frozen=True)
class Wrapped:
    """All tables of `method.toml` that only a method of others has."""

    run: Run
    inputs: Mapping[str, Mapping[str, Any]]  # by placeholder: kind (a module of baselines/inputs) and its options
    generated: GeneratedRun = GeneratedRun()
    weights: tuple[WeightFile, ...] = ()

    def __post_init__(self) -> None:
        for name, table in self.inputs.items():
            if "kind" not in table:
                raise UserError(f"inputs.{name}: no kind; name a module of baselines/inputs")
        paths = [one.path for one in self.weights]
        if len(set(paths)) < len(paths):
            raise UserError(f"weights: {max(paths, key=paths.count)} is named twice")


def read_wrapped(tables: Mapping[str, Any]) -> Wrapped | None:
    """The tables `run`, `inputs`, `generated` and `weights`; None without the first. Raises `UserError`."""
    if "run" not in tables:
        if rest := sorted(set(tables) & {"inputs", "generated", "weights"}):
            raise UserError(f"{rest[0]}: means nothing without a table [run]")
        return None
    run = dict(tables["run"])
    run["pinned"] = tuple(_record(PinnedFile, one, "run.pinned") for one in run.get("pinned", ()))
    return Wrapped(
        run=_record(Run, run, "run"),
        inputs=dict(tables.get("inputs", {})),
        generated=_record(GeneratedRun, tables.get("generated", {}), "generated"),
        weights=tuple(_record(WeightFile, one, "weights") for one in tables.get("weights", ())),
    )


def _record(kind: type[T], table: Mapping[str, Any], where: str) -> T:
    """A table as a dataclass, its lists as tuples."""
    if not isinstance(table, Mapping):
        raise UserError(f"{where}: a table is needed, not {table!r}")
    fields = {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
    try:
        return kind(**fields)
    except TypeError as error:
        raise UserError(f"{where}: {str(error).removeprefix(f'{kind.__name__}.__init__() ')}") from error


def _hex(where: str, path: str, sha256: str) -> None:
    if not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise UserError(f"{where} {path}: sha256 = {sha256!r}, not 64 hexadecimal digits")


def _inside(where: str, path: str) -> None:
    if path.startswith(("/", "~")) or ".." in path.split("/"):
        raise UserError(f"{where}: {path!r} leads out of the folder; give a path relative to the checkout")
