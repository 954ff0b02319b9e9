"""`yaml.load(stream)` without a loader, which PyYAML 6 refuses: the full loader, as PyYAML 5 took."""

from __future__ import annotations

import importlib
from typing import Any


def install() -> None:
    """Give `Loader` its former default once PyYAML is imported."""
    hooks = importlib.import_module("disentbench_shim__hooks")
    hooks.after_import("yaml", _patch)


def _patch(yaml: Any) -> None:
    strict = yaml.load

    def load(stream: Any, Loader: Any = yaml.FullLoader) -> Any:  # noqa: N803 - PyYAML's name
        return strict(stream, Loader=Loader)

    yaml.load = load
