"""LatentSync's cutting and pasting of faces in 32-bit numbers, on a CPU.

Upstream aligns in 16 bits whatever the networks compute in, for speed on a GPU; PyTorch 2.2 samples grids on a CPU in
32 or 64 bits only. The default of one argument changes, nothing else.
"""

from __future__ import annotations

import importlib
from typing import Any


def install() -> None:
    """Patch the module that aligns once it is imported."""
    importlib.import_module("disentbench_shim__hooks").after_import("latentsync.utils.affine_transform", _patch)


def _patch(module: Any) -> None:
    construct, torch = module.AlignRestore.__init__, module.torch
    construct.__defaults__ = tuple(torch.float32 if one is torch.float16 else one for one in construct.__defaults__)
