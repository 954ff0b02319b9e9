"""Names that NumPy 1.24 took away: np.float, np.int, np.bool, np.object, np.complex, np.str, np.long, np.unicode."""

from __future__ import annotations

import importlib
from typing import Any

ALIASES = {"float": float, "int": int, "bool": bool, "object": object, "complex": complex, "str": str, "long": int,
           "unicode": str}  # fmt: skip


def install() -> None:
    """Give them back once NumPy is imported."""
    hooks = importlib.import_module("disentbench_shim__hooks")
    hooks.after_import("numpy", _patch)


def _patch(numpy: Any) -> None:
    for name, builtin in ALIASES.items():
        if name not in vars(numpy):  # NumPy 2 has `bool` and `long` of its own
            setattr(numpy, name, builtin)
