"""`torchvision.transforms.functional_tensor`, which torchvision 0.17 took away and basicsr 1.4 imports."""

from __future__ import annotations

import importlib
import sys
from typing import Any

OLD, NEW = "torchvision.transforms.functional_tensor", "torchvision.transforms._functional_tensor"


def install() -> None:
    """Let the old name mean the new module once its package is imported."""
    hooks = importlib.import_module("disentbench_shim__hooks")
    hooks.after_import("torchvision.transforms", _patch)


def _patch(transforms: Any) -> None:
    folder = list(transforms.__path__)
    if any(finder.find_spec(OLD, folder) for finder in sys.meta_path if hasattr(finder, "find_spec")):
        return
    sys.modules[OLD] = transforms.functional_tensor = importlib.import_module(NEW)
