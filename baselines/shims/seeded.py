"""Random numbers that upstream leaves unseeded: `random`, NumPy's global generator and PyTorch, from DISENTBENCH_SEED.

Each is seeded when it is first imported, before upstream can draw from it. What upstream seeds itself stays as it says.
Generators made with `numpy.random.default_rng()` take their seed from the system and stay unseeded.
"""

from __future__ import annotations

import importlib
import os
from typing import Any


def install() -> None:
    """Seed each library once it is imported."""
    hooks = importlib.import_module("disentbench_shim__hooks")
    _seed()  # a missing or wrong seed is said now
    hooks.after_import("random", lambda random: random.seed(_seed()))
    hooks.after_import("numpy", lambda numpy: numpy.random.seed(_seed() % 2**32))
    hooks.after_import("torch", _torch)


def _seed() -> int:
    given = os.environ.get("DISENTBENCH_SEED", "")
    if not given.isdigit():
        raise ValueError(f"DISENTBENCH_SEED is {given!r}; give a whole number from 0")
    return int(given)


def _torch(torch: Any) -> None:
    torch.manual_seed(_seed())  # also of every GPU
    torch.backends.cudnn.benchmark = False  # the fastest kernel of the day would be another one tomorrow
