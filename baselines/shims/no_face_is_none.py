"""facexlib's RetinaFace where it finds no face: None in place of an empty array. Only for generated weights.

A detector without training finds nothing of use. SadTalker has a branch for that (the mean face's landmarks), but takes
it only when the detector gives None, and ends on an empty array. The network is built, loaded and run as ever.
"""

from __future__ import annotations

import functools
import importlib
from typing import Any


def install() -> None:
    """Patch the detector once it is imported."""
    hooks = importlib.import_module("disentbench_shim__hooks")
    hooks.after_import("facexlib.detection.retinaface", _patch)


def _patch(module: Any) -> None:
    found = module.RetinaFace.detect_faces

    @functools.wraps(found)
    def detect_faces(self: Any, *positional: Any, **named: Any) -> Any:
        boxes = found(self, *positional, **named)
        return boxes if len(boxes) else None

    module.RetinaFace.detect_faces = detect_faces
