"""A method's own virtual environment: made from its pinned requirements, in a folder named by their hash."""

import dataclasses
import hashlib
import json
import logging
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from baselines.method import Method
from baselines.wrapped import Wrapped
from chdtf.errors import UserError
from chdtf.files import write_text

log = logging.getLogger(__name__)

_DONE = "environment.json"  # written last: an environment without it was never finished
_VERSION = "import platform; print(platform.python_version())"


def home() -> Path:
    """Where checkouts, weights and environments lie: DISENTBENCH_METHODS, else ~/.cache/disentbench/methods."""
    named = os.environ.get("DISENTBENCH_METHODS")
    return Path(named).absolute() if named else Path.home() / ".cache" / "disentbench" / "methods"


@dataclasses.dataclass(frozen=True)
class Environment:
    """Where a method's environment lies; `version` is that of its interpreter, "" while it is not made."""

    folder: Path
    version: str = ""

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"


def find_environment(method: Method, root: Path) -> Environment:
    """The environment for the method's requirements as they are now, made or not."""
    wrapped = _wrapped(method)
    key = json.dumps([wrapped.run.python, wrapped.run.build, method.requirements.read_text(encoding="utf-8")])
    folder = root / "environments" / f"{method.name}-{hashlib.sha256(key.encode()).hexdigest()[:12]}"
    try:
        made = json.loads((folder / _DONE).read_text(encoding="utf-8"))
        version = str(made["python"]) if (folder / "bin" / "python").exists() else ""
    except (OSError, ValueError, LookupError):
        version = ""
    return Environment(folder, version)


def make_environment(method: Method, python: str, root: Path) -> Environment:
    """Make it with the interpreter `python` and pip (or uv, where that is on the path: it is quicker).

    Returns the one that is there when it is finished. Raises `UserError` for an interpreter that cannot be started or
    is of another version, and when a package cannot be installed; nothing half-made is taken for an environment.
    """
    wrapped = _wrapped(method)
    version = interpreter_version(python)
    if not version.startswith(wrapped.run.python + "."):
        raise UserError(f"--python {python}: is Python {version}; {method.name} is pinned for {wrapped.run.python}")
    found = find_environment(method, root)
    if found.version:
        return found
    shutil.rmtree(found.folder, ignore_errors=True)
    found.folder.parent.mkdir(parents=True, exist_ok=True)
    _call([python, "-m", "venv", str(found.folder)], method)
    if wrapped.run.build:
        _call([*_installer(found), *wrapped.run.build], method)
    isolated = ["--no-build-isolation"] if wrapped.run.build else []
    _call([*_installer(found), *isolated, "-r", str(method.requirements)], method)
    write_text(found.folder / _DONE, json.dumps({"python": version, "method": method.name}) + "\n")
    return dataclasses.replace(found, version=version)


def interpreter_version(python: str) -> str:
    """Its version, such as "3.10.13". Raises `UserError` when it cannot be started."""
    try:
        done = subprocess.run([python, "-c", _VERSION], capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError) as error:
        raise UserError(f"--python {python}: cannot be started ({error}); give the path of an interpreter") from error
    return done.stdout.strip()


def _wrapped(method: Method) -> Wrapped:
    if method.wrapped is None:
        raise UserError(f"method {method.name} runs in this project's own environment and needs none")
    if not method.requirements.is_file():
        raise UserError(f"{method.requirements}: missing; a wrapped method needs its pinned requirements")
    return method.wrapped


def _installer(environment: Environment) -> list[str]:
    uv = shutil.which("uv")
    if uv:
        return [uv, "pip", "install", "--python", str(environment.python)]
    return [str(environment.python), "-m", "pip", "install"]


def _call(command: Sequence[str], method: Method) -> None:
    """Run one step, its words passed on; they say best why a package cannot be installed."""
    log.info("%s", " ".join(command))
    try:
        subprocess.run(command, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        step = " ".join(command[:6])
        raise UserError(f"the environment of {method.name} could not be made ({step} ...: {error})") from error
