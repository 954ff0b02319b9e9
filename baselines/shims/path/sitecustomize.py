"""Installs the shims that DISENTBENCH_SHIMS names when upstream's interpreter starts; one that fails ends it."""

from __future__ import annotations

import importlib.util
import os
import sys
import traceback
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
    for name in names:
        try:
            _load("_hooks")
            _load(name).install()
        except Exception:
            traceback.print_exc()
            sys.stderr.write("the shim " + name + " failed, so nothing was run\n")
            sys.stderr.flush()
            os._exit(70)  # Python goes on when an exception leaves this module


_install([name for name in os.environ.get("DISENTBENCH_SHIMS", "").split(",") if name])
