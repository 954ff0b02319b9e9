"""mmcv without its compiled operators, for code that imports all of them and calls none.

The index has mmcv's Python files (`mmcv-lite`) and no build of `mmcv._ext`, which takes a compiler and many minutes.
A module of that name gives every operator that is asked for; one that is called tells so. Plain networks of mmdet and
mmpose (convolutions, attention) compute as ever.
"""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Callable

NAME = "mmcv._ext"


class _Operators(ModuleType):
    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("__"):
            raise AttributeError(name)

        def operator(*_: Any, **__: Any) -> Any:
            raise NotImplementedError(f"{NAME}.{name}: mmcv's compiled operators are not in this environment")

        return operator


def install() -> None:
    """Put the module where `import mmcv._ext` looks first."""
    module = _Operators(NAME)
    module.__spec__ = ModuleSpec(NAME, None)  # without a loader: mmengine asks for it to tell mmcv from mmcv-lite
    sys.modules.setdefault(NAME, module)
