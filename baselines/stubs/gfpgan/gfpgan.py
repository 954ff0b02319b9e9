"""Stands in for gfpgan, which SadTalker imports in any case and uses only with --enhancer, which is never given here.

The real one brings basicsr, realesrgan and TensorBoard's nightly build, none of which a 256 px video needs.
"""

from __future__ import annotations

from typing import Any


class GFPGANer:
    """An enhancer of faces that cannot be had."""

    def __init__(self, *positional: Any, **named: Any) -> None:
        raise RuntimeError("gfpgan is a stub here: SadTalker is run without --enhancer")
