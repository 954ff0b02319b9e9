"""AVCT's `config.OPENFACE_POSE_EXTRACTOR_PATH`, taken from the environment variable of that name.

Upstream's README says to write it into `config.py`; with this shim that file need not be edited.
"""

from __future__ import annotations

import importlib
import os
from typing import Any

NAME = "OPENFACE_POSE_EXTRACTOR_PATH"


def install() -> None:
    """Set it once the module `config` is imported; as it stands there without such a variable."""
    importlib.import_module("disentbench_shim__hooks").after_import("config", _patch)


def _patch(config: Any) -> None:
    if NAME in os.environ:
        setattr(config, NAME, os.environ[NAME])
