"""What all shims share: a function called once a named module has been imported, however late that is."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from types import ModuleType
from typing import Any, Callable, Dict, List, Optional, Sequence

Patch = Callable[[Any], None]
_wanted: Dict[str, List[Patch]] = {}


class _Loader(importlib.abc.Loader):
    """The module's own loader, with the patches behind it."""

    def __init__(self, loader: Any, name: str) -> None:
        self._loader, self._name = loader, name

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> Optional[ModuleType]:
        made: Optional[ModuleType] = self._loader.create_module(spec)
        return made

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        for patch in _wanted.get(self._name, ()):
            patch(module)

    def __getattr__(self, name: str) -> Any:  # get_source, get_data, ...
        return getattr(self._loader, name)


class _Finder(importlib.abc.MetaPathFinder):
    """Finds a wanted module as Python would, and wraps its loader."""

    def __init__(self) -> None:
        self._busy: set = set()

    def find_spec(
        self, fullname: str, path: Optional[Sequence[str]], target: Optional[ModuleType] = None
    ) -> Optional[importlib.machinery.ModuleSpec]:
        if fullname not in _wanted or fullname in self._busy:
            return None
        self._busy.add(fullname)
        try:
            spec = importlib.util.find_spec(fullname)
        finally:
            self._busy.discard(fullname)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader, fullname)
        return spec


def after_import(name: str, patch: Patch) -> None:
    """Call `patch(module)` when the module `name` has been imported, or now when it has been."""
    if name in sys.modules:
        patch(sys.modules[name])
        return
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
    _wanted.setdefault(name, []).append(patch)
