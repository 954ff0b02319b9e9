"""What is there of a wrapped method on this machine, what is missing, and how to get it."""

import dataclasses
import hashlib
import json
import shlex
import shutil
from pathlib import Path
from typing import Any

from baselines.checkout import Checkout, read_checkout
from baselines.environment import Environment, find_environment, home
from baselines.gpu import has_gpu
from baselines.method import FOLDER, Method
from baselines.weight_files import MISSING, WRONG, Found, find_weights
from baselines.wrapped import Wrapped
from chdtf.errors import UserError

READY = "ready"


@dataclasses.dataclass(frozen=True)
class Problem:
    """One thing that keeps a method from running: a short stable word, what was found, and what to do about it."""

    word: str
    what: str
    remedy: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.word}: {self.what}"


@dataclasses.dataclass(frozen=True)
class Installation:
    """A wrapped method on this machine. It can run when `problems` is empty.

    `generated` says that the weights are generated ones: its videos prove the wrapper and are never ranked.
    """

    method: Method
    folder: Path
    checkout: Checkout
    environment: Environment
    weights: tuple[Found, ...]
    device: str  # cuda or cpu
    generated: bool
    problems: tuple[Problem, ...]

    @property
    def state(self) -> str:
        """`ready`, or the first problem; beside it what a reader of its numbers must know."""
        told = str(self.problems[0]) if self.problems else READY
        more = f" (and {len(self.problems) - 1} more)" if len(self.problems) > 1 else ""
        notes = []
        if self.checkout.changes:
            notes.append(f"{len(self.checkout.changes)} files of the checkout were changed")
        if self.generated:
            notes.append("weights: generated")
        return told + more + (f" [{'; '.join(notes)}]" if notes else "")

    @property
    def shims(self) -> tuple[str, ...]:
        """Names of the shims that upstream's process gets on this device."""
        run, generated = wrapped(self.method).run, wrapped(self.method).generated
        names = [*run.shims, *(run.cpu_shims if self.device == "cpu" else ())]
        names += ["seeded"] if self.method.seed == "shim" else []
        return tuple(dict.fromkeys([*names, *(generated.shims if self.generated else ())]))

    @property
    def stubs(self) -> tuple[str, ...]:
        """Names of the stand-ins for modules that upstream's process gets."""
        found = wrapped(self.method)
        return (*found.run.stubs, *(found.generated.stubs if self.generated else ()))

    def account(self) -> dict[str, Any]:
        """What a run record says of it."""
        return {
            "state": self.state,
            "revision": self.checkout.revision,
            "changed_files": list(self.checkout.changes),
            "weights": {one.weight.path: one.sha256 for one in self.weights},
            "python": self.environment.version,
            "environment": self.environment.folder.name,
            "device": self.device,
            "shims": list(self.shims),
            "stubs": list(self.stubs),
        }

    def fingerprint(self) -> str:
        """Hash of what is installed as far as it determines the videos: changes, weights, shims, stand-ins, device."""
        code = [FOLDER / "shims" / f"{name}.py" for name in self.shims]
        code += [*sorted((FOLDER / "shims").glob("_*.py")), *sorted((FOLDER / "shims" / "path").glob("*.py"))]
        code += [path for name in self.stubs for path in sorted((FOLDER / "stubs" / name).rglob("*.py"))]
        parts = [
            self.checkout.changes_sha256,
            {one.weight.path: one.sha256 for one in self.weights},
            {str(path.relative_to(FOLDER)): hashlib.sha256(path.read_bytes()).hexdigest() for path in code},
            [self.device, self.generated, self.environment.version],
        ]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def wrapped(method: Method) -> Wrapped:
    """How a method of others is run. Raises `UserError` for one of our own, which needs no installation."""
    if method.wrapped is None:
        raise UserError(f"method {method.name} is part of this project: nothing needs to be installed for it")
    return method.wrapped


def examine(method: Method, generated: bool = False, root: Path | None = None) -> Installation:
    """Look at what there is of a method; weights are hashed, which takes some seconds a gigabyte the first time."""
    root = root or home()
    about, folder = wrapped(method), root / method.name
    checkout = read_checkout(folder / "upstream")
    environment = find_environment(method, root)
    weights = tuple(find_weights(about.weights, folder, checkout.folder, generated))
    device = "cuda" if "cuda" in about.run.devices and has_gpu() else "cpu"
    problems = [
        *_of_checkout(method, checkout),
        *_of_environment(method, environment),
        *_of_weights(method, weights, generated),
        *_of_device(about, device),
    ]
    return Installation(method, folder, checkout, environment, weights, device, generated, tuple(problems))


def _of_checkout(method: Method, checkout: Checkout) -> list[Problem]:
    place = shlex.quote(str(checkout.folder))
    go = f"git -C {place} checkout {method.revision}"
    if checkout.trouble:
        clone = f"git clone {method.upstream} {place}"
        return [Problem("no_checkout", f"{checkout.folder} {checkout.trouble}", (clone, go))]
    if checkout.revision != method.revision:
        what = f"{checkout.folder} is at {checkout.revision[:12]}, not {method.revision[:12]}"
        return [Problem("wrong_revision", what, (f"git -C {place} fetch", go))]
    return _of_pinned(method, checkout)


def _of_pinned(method: Method, checkout: Checkout) -> list[Problem]:
    problems = []
    for pinned in wrapped(method).run.pinned:
        path = checkout.folder / pinned.path
        found = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "no such file"
        if found != pinned.sha256:
            what = f"{path}: sha256 should be {pinned.sha256}, is {found}"
            back = f"git -C {shlex.quote(str(checkout.folder))} checkout -- {pinned.path}"
            problems.append(Problem("wrong_pinned_file", what, (back,)))
    return problems


def _of_environment(method: Method, environment: Environment) -> list[Problem]:
    if environment.version:
        return []
    version = wrapped(method).run.python
    python = shutil.which(f"python{version}") or f"/path/to/python{version}"
    make = f"disentbench methods env {method.name} --python {python}"
    return [Problem("no_environment", f"none for {method.requirements.name} at {environment.folder}", (make,))]


def _of_weights(method: Method, weights: tuple[Found, ...], generated: bool) -> list[Problem]:
    missing = [one for one in weights if one.state == MISSING]
    wrong = [one for one in weights if one.state == WRONG]
    problems = []
    if missing and generated:
        make = f"disentbench methods generate-weights {method.name}"
        problems.append(Problem("no_generated_weights", f"{len(missing)} files are not made yet", (make,)))
    elif missing:
        what = f"{len(missing)} of {len(weights)} files: {', '.join(one.weight.path for one in missing[:3])}"
        problems.append(Problem("missing_weights", what + (", ..." if len(missing) > 3 else ""), _where(missing)))
    problems += [Problem("wrong_weights", f"{one.path}: {one.detail}", _where([one])) for one in wrong]
    return problems


def _where(files: list[Found]) -> tuple[str, ...]:
    """A line for each file: from where to where, how large, and what its licence is."""
    lines = []
    for one in files:
        weight = one.weight
        size = f"{weight.size_bytes / 1e6:,.0f} MB, " if weight.size_bytes else ""
        how = {"form": "after a form, ", "email": "on request by e-mail, "}.get(weight.access, "")
        lines.append(f"{weight.url} -> {one.path} ({how}{size}licence: {weight.license})")
    return tuple(lines)


def _of_device(about: Wrapped, device: str) -> list[Problem]:
    if device in about.run.devices:
        return []
    return [Problem("no_gpu", "upstream's code needs a GPU and none was found (nvidia-smi)", ())]


def declared_panel(method: Method, generated: bool) -> tuple[int, int, int, int] | None:
    """Where its face is inside its output: a reduced configuration may have a panel of its own."""
    about = method.wrapped
    return about.generated.panel if generated and about and about.generated.panel else method.panel
