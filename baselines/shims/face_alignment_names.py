"""`face_alignment.LandmarksType._2D` and its like, which newer versions of that package call TWO_D."""

from __future__ import annotations

import importlib
from typing import Any

NAMES = {"_2D": "TWO_D", "_2halfD": "TWO_HALF_D", "_3D": "THREE_D"}


def install() -> None:
    """Give the old names back once face_alignment is imported."""
    hooks = importlib.import_module("disentbench_shim__hooks")
    hooks.after_import("face_alignment", _patch)


def _patch(face_alignment: Any) -> None:
    kinds = face_alignment.LandmarksType
    for old, new in NAMES.items():
        if not hasattr(kinds, old):
            setattr(kinds, old, getattr(kinds, new))
