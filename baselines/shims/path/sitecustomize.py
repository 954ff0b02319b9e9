"""Installs the shims that DISENTBENCH_SHIMS names when upstream's interpreter starts; one that fails ends it."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

FOLDER = Path(__file__).resolve().parent.parent


def _load(name: str) -> ModuleType:
    """A module of the folder of shims, under a name that no upstream module has."""
    full = "disentbench_shim_" + name
    if full not in sys.modules:
        spec = importlib.util.spec_from_file_location(full, str(FOLDER / (name + ".py")))
        if spec is None or spec.loader is None or not (FOLDER / (name + ".py")).is_file():
            raise ImportError("there is no shim " + name)
        sys.modules[full] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[full])
    return sys.modules[full]


def _install(names: list[str]) -> None:
    for path in sorted(FOLDER.glob("_[a-z]*.py")):  # what shims share
        _load(path.stem)
    hooks = _load("_hooks")
    for name in names:
        try:
            _load(name).install()
        except Exception as problem:  # Python goes on when an exception leaves this module
            hooks.stop(name, f"{type(problem).__name__}: {problem}")


_names = [name for name in os.environ.get("DISENTBENCH_SHIMS", "").split(",") if name]
if _names:
    _install(_names)
