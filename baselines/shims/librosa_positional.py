"""`librosa.filters.mel(sr, n_fft, ...)` and friends by position, which librosa 0.10 refuses."""

from __future__ import annotations

import importlib
from typing import Any

_ORDERS = {
    "librosa.filters": {"mel": ("sr", "n_fft", "n_mels", "fmin", "fmax", "htk", "norm")},
    "librosa.core.audio": {"resample": ("y", "orig_sr", "target_sr")},
}


def install() -> None:
    """Turn positions into names once those modules are imported."""
    hooks = importlib.import_module("disentbench_shim__hooks")
    for module, functions in _ORDERS.items():
        hooks.after_import(module, lambda loaded, functions=functions: _patch(loaded, functions))


def _patch(module: Any, functions: dict[str, tuple[str, ...]]) -> None:
    for name, order in functions.items():
        setattr(module, name, _named(getattr(module, name), order))


def _named(function: Any, order: tuple[str, ...]) -> Any:
    def call(*positional: Any, **named: Any) -> Any:
        return function(**dict(zip(order, positional)), **named)

    return call
