"""CUDA calls on a machine without a GPU: every tensor and module stays on the CPU.

`.cuda()`, `.to("cuda")`, `device="cuda"` of functions and constructors, `torch.cuda.current_device()` and its like,
the tensor types of `torch.cuda`, `autocast`, and `torch.load` of files saved on a GPU. `torch.cuda.is_available()`
stays False, so that code with a branch of its own takes it. Half precision is not its matter.
"""

from __future__ import annotations

import functools
import importlib
from typing import Any, Callable

_FUNCTIONS = (
    *("tensor", "as_tensor", "zeros", "ones", "empty", "full", "rand", "randn", "randint", "arange", "linspace", "eye"),
    *("zeros_like", "ones_like", "empty_like", "full_like", "rand_like", "randn_like", "randperm", "hann_window"),
)
_TYPES = ("FloatTensor", "DoubleTensor", "HalfTensor", "LongTensor", "IntTensor", "ByteTensor", "BoolTensor")
_SILENT = ("set_device", "synchronize", "empty_cache", "manual_seed", "manual_seed_all", "reset_peak_memory_stats")


def install() -> None:
    """Patch PyTorch once it is imported."""
    importlib.import_module("disentbench_shim__hooks").after_import("torch", _patch)


def _patch(torch: Any) -> None:
    here = functools.partial(_here, torch)
    torch.Tensor.cuda = torch.nn.Module.cuda = _same
    for owner in (torch.Tensor, torch.nn.Module):
        owner.to = _moved(owner.to, here)
    for name in _FUNCTIONS:
        setattr(torch, name, _moved(getattr(torch, name), here))
    torch.load = _loaded_here(torch.load)
    torch.autocast = _autocast_here(torch.autocast)
    _patch_cuda(torch)
    _patch_constructors(torch, here)


def _patch_cuda(torch: Any) -> None:
    cuda = torch.cuda
    cuda.current_device = lambda: 0
    cuda.get_device_name = lambda device=None: "CPU in place of a GPU"
    cuda.memory_allocated = cuda.max_memory_allocated = lambda device=None: 0
    for name in _SILENT:
        setattr(cuda, name, lambda *positional, **named: None)
    for name in _TYPES:
        setattr(cuda, name, getattr(torch, name))


def _patch_constructors(torch: Any, here: Callable[[Any], Any]) -> None:
    """`torch.nn.Linear(..., device="cuda")` ends in the parameter's own factory: only the name must change."""
    kinds: list[Any] = [kind for kind in vars(torch.nn).values() if isinstance(kind, type)]
    for kind in kinds:
        if issubclass(kind, torch.nn.Module) and kind is not torch.nn.Module:
            kind.__init__ = _device_here(kind.__init__, here)
    torch.Generator = _Here(torch.Generator, here)


class _Here:
    """A class whose `device` is the CPU whatever is asked for; still the class for `isinstance`."""

    def __init__(self, kind: Any, here: Callable[[Any], Any]) -> None:
        self._kind, self._move = kind, here

    def __call__(self, device: Any = "cpu") -> Any:
        return self._kind(device=self._move(device))

    def __instancecheck__(self, instance: Any) -> bool:
        return isinstance(instance, self._kind)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kind, name)


def _same(self: Any, *positional: Any, **named: Any) -> Any:
    return self


def _is_cuda(value: Any) -> bool:
    if isinstance(value, str):
        return value == "cuda" or value.startswith("cuda:")
    return type(value).__name__ == "device" and value.type == "cuda"


def _here(torch: Any, value: Any) -> Any:
    return torch.device("cpu") if _is_cuda(value) else value


def _moved(function: Any, here: Callable[[Any], Any]) -> Any:
    @functools.wraps(function)
    def call(*positional: Any, **named: Any) -> Any:
        return function(*map(here, positional), **{name: here(value) for name, value in named.items()})

    return call


def _device_here(construct: Any, here: Callable[[Any], Any]) -> Any:
    @functools.wraps(construct)
    def call(self: Any, *positional: Any, **named: Any) -> None:
        if "device" in named:
            named["device"] = here(named["device"])
        construct(self, *positional, **named)

    return call


def _loaded_here(load: Any) -> Any:
    @functools.wraps(load)
    def call(file: Any, map_location: Any = None, *positional: Any, **named: Any) -> Any:
        place = "cpu" if map_location is None or _is_cuda(map_location) else map_location
        return load(file, place, *positional, **named)

    return call


def _autocast_here(autocast: Any) -> Any:
    """`autocast("cuda")` would warn and do nothing without a GPU; here it does nothing in silence."""

    class Autocast(autocast):
        def __init__(self, device_type: str, *positional: Any, **named: Any) -> None:
            if _is_cuda(device_type):
                positional, named = (), {"enabled": False}
            super().__init__("cpu" if _is_cuda(device_type) else device_type, *positional, **named)

    return Autocast
