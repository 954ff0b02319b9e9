"""`yaml.load(stream)` without a loader, which PyYAML 6 refuses: the full loader, as PyYAML 5.1 took."""

from __future__ import annotations

import functools
import importlib
from typing import Any


def install() -> None:
    """Give `Loader` its former default once PyYAML is imported."""
    hooks = importlib.import_module("disentbench_shim__hooks")
    hooks.after_import("yaml", _patch)


def _patch(yaml: Any) -> None:
    for name in ("load", "load_all"):
        setattr(yaml, name, _with_default(getattr(yaml, name), yaml.FullLoader))


def _with_default(strict: Any, default: Any) -> Any:
    @functools.wraps(strict)
    def load(stream: Any, Loader: Any = None) -> Any:  # noqa: N803 - PyYAML's name
        return strict(stream, Loader=default if Loader is None else Loader)

    return load
