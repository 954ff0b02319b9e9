"""What all shims share: a function called once a named module has been imported, however late that is."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from types import ModuleType
from typing import Any, Callable, Sequence

Patch = Callable[[Any], None]
_wanted: dict[str, list[Patch]] = {}


class _Finder(importlib.abc.MetaPathFinder):
    """Finds a wanted module as Python would, and has its own loader call the patches behind itself."""

    def __init__(self) -> None:
        self._busy: set[str] = set()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in _wanted or fullname in self._busy:
            return None
        self._busy.add(fullname)
        try:
            spec = importlib.util.find_spec(fullname)
        finally:
            self._busy.discard(fullname)
        if spec is not None and spec.loader is not None:
            _patch_behind(spec.loader, fullname)
        return spec


def _patch_behind(loader: Any, name: str) -> None:
    """The loader stays what it is, so that `inspect` and `importlib.resources` find what they look for."""
    execute = loader.exec_module

    def exec_module(module: ModuleType) -> None:
        execute(module)
        for patch in _wanted.get(name, ()):
            patch(module)

    loader.exec_module = exec_module


def after_import(name: str, patch: Patch) -> None:
    """Call `patch(module)` when the module `name` has been imported, or now when it has been."""
    if name in sys.modules:
        patch(sys.modules[name])
        return
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
    _wanted.setdefault(name, []).append(patch)
