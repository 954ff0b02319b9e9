"""Arguments by position for those librosa functions that librosa 0.10 wants by name, such as `filters.mel(sr, n_fft)`.

Their order did not change when they became names, so that the function's own signature says what a position means.
"""

from __future__ import annotations

import functools
import importlib
import inspect
from typing import Any

FUNCTIONS = {
    "librosa.filters": ("mel",),
    "librosa.core.audio": ("load", "resample", "to_mono", "get_duration"),
    "librosa.core.spectrum": ("stft", "istft", "magphase", "power_to_db", "amplitude_to_db"),
    "librosa.feature.spectral": ("melspectrogram", "mfcc", "rms"),
}


def install() -> None:
    """Turn positions into names once those modules are imported, before others take functions from them."""
    hooks = importlib.import_module("disentbench_shim__hooks")
    for module in FUNCTIONS:
        hooks.after_import(module, _patch)


def _patch(module: Any) -> None:
    for name in FUNCTIONS[module.__name__]:
        if hasattr(module, name):
            setattr(module, name, _named(getattr(module, name)))


def _named(function: Any) -> Any:
    parameters = inspect.signature(function).parameters.values()
    order = [one.name for one in parameters if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)]

    @functools.wraps(function)
    def call(*positional: Any, **named: Any) -> Any:
        if len(positional) > len(order):
            raise TypeError(f"{function.__name__}() takes {len(order)} arguments, {len(positional)} were given")
        given = dict(zip(order, positional))
        twice = sorted(set(given) & set(named))
        if twice:
            raise TypeError(f"{function.__name__}() got {', '.join(twice)} both by position and by name")
        return function(**given, **named)

    return call
