"""Random numbers that upstream draws without a seed: `random`, NumPy's old generator and PyTorch, by DISENTBENCH_SEED.

A method that seeds by itself later keeps its own seed.
"""

from __future__ import annotations

import importlib
import os
import random
from typing import Any


def install() -> None:
    """Seed `random` now, the others once each is imported. Raises `KeyError` where no seed is given."""
    seed = int(os.environ["DISENTBENCH_SEED"])
    random.seed(seed)
    hooks = importlib.import_module("disentbench_shim__hooks")
    hooks.after_import("numpy", lambda numpy: numpy.random.seed(seed % 2**32))
    hooks.after_import("torch", lambda torch: _seed_torch(torch, seed))


def _seed_torch(torch: Any, seed: int) -> None:
    torch.manual_seed(seed)
    torch.backends.cudnn.benchmark = False  # the fastest kernel of the day would be another one tomorrow
