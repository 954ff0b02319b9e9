"""CUDA calls on a machine without a GPU: every tensor and module stays on the CPU.

`.cuda()`, `.to("cuda")`, `.to(0)`, `device="cuda"` of functions and so of constructors, `torch.Generator("cuda")`, the
tensor types of `torch.cuda`, `autocast`, `torch.load` of files saved on a GPU, and what `_torch_cuda` puts in place of
`torch.cuda.current_device()` and its like. `torch.cuda.is_available()` stays False, so that code with a branch of its
own takes it. `.cuda()` gives the tensor itself, not a copy. Half precision is not its matter.
"""

from __future__ import annotations

import functools
import importlib
from typing import Any

_FUNCTIONS = (
    *("tensor", "as_tensor", "asarray", "zeros", "ones", "empty", "full", "eye", "arange", "range", "linspace"),
    *("logspace", "rand", "randn", "randint", "randperm", "normal", "zeros_like", "ones_like", "empty_like"),
    *("full_like", "rand_like", "randn_like", "randint_like", "empty_strided", "scalar_tensor", "sparse_coo_tensor"),
    *("tril_indices", "triu_indices", "hann_window", "hamming_window", "blackman_window", "bartlett_window"),
    *("kaiser_window",),
)
_METHODS = ("to", "new_tensor", "new_zeros", "new_ones", "new_full", "new_empty")


def install() -> None:
    """Patch PyTorch once it is imported."""
    importlib.import_module("disentbench_shim__hooks").after_import("torch", _patch)


def _patch(torch: Any) -> None:
    importlib.import_module("disentbench_shim__torch_cuda").replace(torch)
    for owner in (torch.Tensor, torch.nn.Module, torch.UntypedStorage, torch.storage.TypedStorage):
        owner.cuda = _same
    torch.Tensor.pin_memory = _same
    torch.Tensor.type = _type_here(torch.Tensor.type)
    for name in _METHODS:
        setattr(torch.Tensor, name, _moved(torch, getattr(torch.Tensor, name)))
    torch.nn.Module.to = _moved(torch, torch.nn.Module.to)
    torch.nn.Module.to_empty = _moved(torch, torch.nn.Module.to_empty)
    for name in _FUNCTIONS:
        _replace(torch, name)
    torch.Generator = _generator_here(torch)
    torch.load, torch.jit.load = _loaded_here(torch, torch.load), _loaded_here(torch, torch.jit.load)
    torch.autocast = torch.amp.autocast = _autocast_here(torch.autocast)
    torch.set_default_device = _moved(torch, torch.set_default_device)
    torch.set_default_tensor_type = _type_here(torch.set_default_tensor_type)


def _replace(torch: Any, name: str) -> None:
    function = getattr(torch, name)
    moved = _moved(torch, function)
    setattr(torch, name, moved)
    operator = torch.jit._builtins._find_builtin(function)
    if operator is not None:  # `torch.jit.script` knows functions by identity
        torch.jit._builtins._register_builtin(moved, operator)


def _same(self: Any, *positional: Any, **named: Any) -> Any:
    return self


def _is_cuda(value: Any) -> bool:
    if isinstance(value, str):
        return value == "cuda" or value.startswith("cuda:")
    return type(value).__name__ == "device" and bool(value.type == "cuda")


def _moved(torch: Any, function: Any) -> Any:
    """The function with the CPU in place of every CUDA device among its arguments; a whole number is one too."""
    takes_number_first = function.__name__ in ("to", "set_default_device")

    @functools.wraps(function)
    def call(*positional: Any, **named: Any) -> Any:
        given = ["cpu" if _is_cuda(value) else value for value in positional]
        place = 1 if function.__name__ == "to" else 0
        if takes_number_first and len(given) > place and type(given[place]) is int:
            given[place] = "cpu"
        if "device" in named and (type(named["device"]) is int or _is_cuda(named["device"])):
            named["device"] = torch.device("cpu")
        named.pop("pin_memory", None)
        return function(*given, **named)

    return call


def _type_here(function: Any) -> Any:
    """`torch.cuda.FloatTensor` by its name; as a type it is the CPU's already."""

    @functools.wraps(function)
    def call(*positional: Any, **named: Any) -> Any:
        given = [value.replace("torch.cuda.", "torch.") if isinstance(value, str) else value for value in positional]
        return function(*given, **named)

    return call


def _generator_here(torch: Any) -> type:
    """A class in whose place: its calls make ordinary generators, and these are its instances."""
    ordinary = torch.Generator

    class Meta(type(ordinary)):  # type: ignore[misc]
        def __call__(cls, device: Any = "cpu") -> Any:
            return ordinary("cpu" if _is_cuda(device) or type(device) is int else device)

        def __instancecheck__(cls, instance: Any) -> bool:
            return isinstance(instance, ordinary)

    return Meta("Generator", (ordinary,), {"__module__": "torch"})


def _loaded_here(torch: Any, load: Any) -> Any:
    @functools.wraps(load)
    def call(file: Any, map_location: Any = None, *positional: Any, **named: Any) -> Any:
        place = map_location
        if place is None or isinstance(place, dict) or _is_cuda(place):
            place = torch.device("cpu")
        elif callable(place):
            place = lambda storage, location: map_location(storage, location) or storage  # noqa: E731
        return load(file, place, *positional, **named)

    return call


def _autocast_here(autocast: Any) -> Any:
    """`autocast("cuda")` would warn and do nothing without a GPU; here it does nothing in silence."""

    class Autocast(autocast):
        def __init__(self, device_type: str, *positional: Any, **named: Any) -> None:
            if _is_cuda(device_type):
                device_type, positional, named = "cpu", (), {"enabled": False}
            super().__init__(device_type, *positional, **named)

    return Autocast
