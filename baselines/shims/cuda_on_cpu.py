"""CUDA calls on a machine without a GPU: every tensor and module stays on the CPU.

`.cuda()`, `.to("cuda")`, `device="cuda"` of factories, `torch.cuda.current_device()` and friends, and `torch.load` of
files saved on a GPU. `torch.cuda.is_available()` stays False, so that code with a branch of its own takes it.
"""

from __future__ import annotations

import functools
import importlib
from typing import Any

_FACTORIES = ("tensor", "as_tensor", "zeros", "ones", "empty", "full", "rand", "randn", "randint", "arange", "linspace",
              "eye", "zeros_like", "ones_like", "empty_like", "full_like", "rand_like", "randn_like", "randperm",
              "from_numpy", "load", "Generator")  # fmt: skip


def install() -> None:
    """Patch PyTorch once it is imported."""
    hooks = importlib.import_module("disentbench_shim__hooks")
    hooks.after_import("torch", _patch)


def _is_cuda(value: Any) -> bool:
    if isinstance(value, str):
        return value == "cuda" or value.startswith("cuda:")
    return type(value).__name__ == "device" and value.type == "cuda"


def _patch(torch: Any) -> None:
    def here(value: Any) -> Any:
        return torch.device("cpu") if _is_cuda(value) else value

    def moved(function: Any) -> Any:
        @functools.wraps(function)
        def call(*positional: Any, **named: Any) -> Any:
            return function(*map(here, positional), **{name: here(value) for name, value in named.items()})

        return call

    same = lambda self, *positional, **named: self  # noqa: E731
    torch.Tensor.cuda = torch.nn.Module.cuda = same
    torch.Tensor.to, torch.nn.Module.to = moved(torch.Tensor.to), moved(torch.nn.Module.to)
    for name in _FACTORIES:
        if name not in ("Generator", "load"):
            setattr(torch, name, moved(getattr(torch, name)))
    torch.load = _load_here(torch.load)
    torch.cuda.current_device = lambda: 0
    for name in ("set_device", "synchronize", "empty_cache", "manual_seed", "manual_seed_all"):
        setattr(torch.cuda, name, lambda *positional, **named: None)


def _load_here(load: Any) -> Any:
    @functools.wraps(load)
    def call(file: Any, map_location: Any = None, *positional: Any, **named: Any) -> Any:
        return load(
            file, "cpu" if map_location is None or _is_cuda(map_location) else map_location, *positional, **named
        )

    return call
