"""Method: what a folder below `baselines/` says of itself in `method.toml`. The folder is the registry."""

import dataclasses
import difflib
import hashlib
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from baselines.wrapped import SEEDS, Wrapped, read_wrapped
from chdtf.errors import UserError
from chdtf.files import sha256_file

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FOLDER = Path(__file__).resolve().parent
REPOSITORY = FOLDER.parent
RUNTIME = FOLDER / "runtime"
ROLES = ("reference", "method", "control")
_OPTIONAL = (
    "checkpoint",
    "settings",
    "folder",
    "seed",
    "wrapped",
)  # no part of the fingerprint of those that have none
# what is said of a method, how long it may take, and what is undone in its videos: none of it changes them
_SAID = (
    *("label", "role", "paper", "upstream", "license", "weights_license", "eye_blink", "category", "notes"),
    *("deviations", "paper_results", "timeout_s", "panel", "frame_offset", "geometry", "size_px"),
)
_CHOICES = {"role": ROLES, "input": ("image", "video"), "audio": ("original", "own"), "seed": ("", *SEEDS)}
_TABLES = ("run", "inputs", "generated", "weights")


@dataclasses.dataclass(frozen=True)
class Method:
    """One method under test, or a control. Fields are the keys of `method.toml`; `name` is the folder's."""

    name: str
    label: str
    role: str  # reference (ground truth), method, or control
    paper: str
    upstream: str
    revision: str
    license: str
    input: str  # image: one frame and speech; video: the whole clip
    eye_blink: str  # generated, from reference, or none
    fps: float = 25.0
    size_px: int = 256
    geometry: str = "same_frame"  # where its face lies against the reference frame's
    panel: tuple[int, int, int, int] | None = None  # x, y, width, height px of its face inside a wider output
    frame_offset: int = 0  # source frame that its first output frame shows
    audio: str = "original"  # what sync metrics hear: the clip's own sound, or that of the method's file ("own")
    files: tuple[str, ...] = ()  # files of the repository that determine its output; part of the fingerprint
    timeout_s: float = 3600.0  # for one clip
    category: str = ""  # of the paper's Table I: Deterministic-based, Diffusion-based; Ablation
    audio_shift_frames: int | None = None  # of a control: how many frames its own sound is late
    notes: str = ""
    checkpoint: str = ""  # model file that its driver loads, in the repository or elsewhere; "": it takes none
    settings: dict[str, float] = dataclasses.field(default_factory=dict)  # told to its driver beside the items
    folder: str = ""  # below baselines/, where its driver is; "": that of its name
    weights_license: str = ""
    seed: str = ""  # where its random numbers come from: deterministic, argument, fixed, or the shim `seeded`
    deviations: tuple[str, ...] = ()  # from upstream's usual use or from the paper; published beside its row
    paper_results: Mapping[str, Mapping[str, float]] = dataclasses.field(default_factory=dict)  # by data set and metric
    wrapped: Wrapped | None = None  # of a method whose code is not ours: how it is run

    def __post_init__(self) -> None:
        for field, allowed in _CHOICES.items():
            if getattr(self, field) not in allowed:
                raise UserError(f"method {self.name}: {field} = {getattr(self, field)!r}, not one of {allowed}")
        if self.wrapped is not None and not re.fullmatch(r"[0-9a-f]{40}", self.revision):
            raise UserError(f"method {self.name}: revision = {self.revision!r}; give the full commit")

    @property
    def driver(self) -> Path:
        """The script that makes this method's videos from a `job.json`."""
        return FOLDER / (self.folder or self.name) / "drive.py"

    @property
    def requirements(self) -> Path:
        """The pinned packages of a wrapped method's own environment."""
        return FOLDER / self.name / "requirements.txt"

    def with_checkpoint(
        self, checkpoint: Path, name: str, label: str, settings: dict[str, float] | None = None
    ) -> "Method":
        """The same method with another model file, under a name of its own.

        Raises `UserError` when it takes none, the file is missing, or the name is a method's already.
        """
        if not self.checkpoint:
            raise UserError(f"method {self.name} takes no checkpoint; leave --checkpoint away")
        if not checkpoint.is_file():
            raise UserError(f"{checkpoint}: no such checkpoint")
        if name in method_names():
            raise UserError(f"checkpoint {checkpoint}: {name!r} is a method's name already; choose another")
        return dataclasses.replace(
            self,
            name=name,
            label=label,
            checkpoint=str(checkpoint.resolve()),
            settings=settings or {},
            folder=self.folder or self.name,
        )

    def fingerprint(self) -> str:
        """Hash of what determines the method's output besides its input: settings, driver, named files."""
        needed = {name: name for name in self.files}
        if self.checkpoint:
            needed["checkpoint"] = self.checkpoint  # its content counts, not where it lies
        named = {}
        for name, place in needed.items():
            path = REPOSITORY / place
            if not path.is_file():
                raise UserError(f"{path}: needed by method {self.name} and not there")
            named[name] = sha256_file(path)
        settings = dataclasses.asdict(dataclasses.replace(self, checkpoint=""))
        settings = {
            key: value for key, value in settings.items() if key not in _SAID and (value or key not in _OPTIONAL)
        }
        if self.wrapped is not None:
            named["requirements.txt"] = sha256_file(self.requirements)
            named |= {f"runtime/{path.name}": sha256_file(path) for path in sorted(RUNTIME.glob("*.py"))}
        text = json.dumps([settings, sha256_file(self.driver), named], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def method_names() -> list[str]:
    """All methods, in alphabetical order."""
    return sorted(path.parent.name for path in FOLDER.glob("*/method.toml"))


def load_method(name: str) -> Method:
    """Read one method. Raises `UserError` for an unknown name (with the nearest) or a malformed file."""
    path = FOLDER / name / "method.toml"
    names = method_names()
    if name not in names:
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.4) or names
        raise UserError(f"unknown method {name!r}; did you mean {', '.join(near)}? All: {', '.join(names)}")
    try:
        fields: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        tables = {key: fields.pop(key) for key in _TABLES if key in fields}
        fields |= {key: tuple(fields[key]) for key in ("files", "panel", "deviations") if key in fields}
        return Method(name=name, wrapped=read_wrapped(tables), **fields)
    except (tomllib.TOMLDecodeError, TypeError, UserError) as error:
        raise UserError(f"{path}: {error}") from error
