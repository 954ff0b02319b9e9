"""What all shims share: a function called once a named module has been imported, however late that is."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import os
import sys
import traceback
from types import ModuleType
from typing import Any, Callable, NoReturn, Sequence

FAILED = 70
Patch = Callable[[Any], None]
_wanted: dict[str, list[tuple[Patch, str]]] = {}


def stop(shim: str, why: str) -> NoReturn:
    """End the process with one line: half-patched code would compute something else, or fail far from the cause.

    Not an exception: upstream may catch it around an import, and Python ignores most of what is raised at start.
    """
    sys.stdout.flush()
    traceback.print_exc()
    sys.stderr.write(f"the shim {shim} failed, so nothing was run: {' '.join(why.split())}\n")
    sys.stderr.flush()
    os._exit(FAILED)


class _Loader(importlib.abc.Loader):
    """The module's own loader, with the patches behind it."""

    def __init__(self, loader: Any, name: str) -> None:
        self._loader, self._name = loader, name

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        made: ModuleType | None = self._loader.create_module(spec)
        return made

    def exec_module(self, module: ModuleType) -> None:
        # From here on the module is as Python would have made it: resources, sources and pickles ask its own loader.
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        _apply(self._name)

    def __getattr__(self, name: str) -> Any:  # of a spec that was found and not yet loaded: get_source, is_package, ...
        return getattr(self._loader, name)


class _Finder(importlib.abc.MetaPathFinder):
    """Finds a wanted module as Python would, and wraps its loader."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in _wanted:
            return None
        for finder in list(sys.meta_path):
            if isinstance(finder, _Finder) or not hasattr(finder, "find_spec"):
                continue
            spec = finder.find_spec(fullname, path, target)
            if spec is not None:
                if spec.loader is not None:
                    spec.loader = _Loader(spec.loader, fullname)
                return spec
        return None


def after_import(name: str, patch: Patch) -> None:
    """Call `patch(module)` whenever the module `name` has been imported, and now when it has been already."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
    shim = patch.__module__.replace("disentbench_shim_", "")
    _wanted.setdefault(name, []).append((patch, shim))
    if name in sys.modules:
        _call(patch, shim, name)


def _apply(name: str) -> None:
    for patch, shim in _wanted.get(name, ()):
        _call(patch, shim, name)


def _call(patch: Patch, shim: str, name: str) -> None:
    try:
        patch(sys.modules[name])  # not what was executed: some modules put another object in their place
    except Exception as problem:
        stop(shim, f"patching {name}: {type(problem).__name__}: {problem}")
