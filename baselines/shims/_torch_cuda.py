"""What `torch.cuda` answers on a machine without a GPU under the shim `cuda_on_cpu`: one device that does nothing.

`is_available()`, `device_count()` and `is_bf16_supported()` stay as they are: there is none.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import os
import time
from types import SimpleNamespace
from typing import Any, Callable

NAME = "CPU in place of a GPU"
TYPES = ("Float", "Double", "Half", "BFloat16", "Byte", "Char", "Short", "Int", "Long", "Bool")
_SILENT = ("set_device", "synchronize", "empty_cache", "ipc_collect", "manual_seed", "manual_seed_all", "seed", "init",
           "reset_peak_memory_stats", "reset_max_memory_allocated", "set_per_process_memory_fraction",
           "set_stream")  # fmt: skip
_ZERO = ("current_device", "memory_allocated", "max_memory_allocated", "memory_reserved", "max_memory_reserved")


class Nothing(contextlib.ContextDecorator):
    """In place of devices, streams and events: takes any arguments, waits for nothing; times are the clock's (ms)."""

    def __init__(self, *positional: Any, **named: Any) -> None:
        self._time_s = 0.0

    def __enter__(self) -> Nothing:
        return self

    def __exit__(self, *reason: Any) -> None:
        return None

    def record(self, *positional: Any) -> None:
        """Note the time."""
        self._time_s = time.perf_counter()

    def elapsed_time(self, end: Nothing) -> float:
        """Milliseconds from this event to `end`."""
        return 1000 * (end._time_s - self._time_s)

    def query(self) -> bool:
        """All work is done: it was done when it was asked for."""
        return True

    def synchronize(self, *positional: Any) -> None:
        """Return at once, as every wait here does."""

    wait = wait_stream = wait_event = record_event = synchronize


def replace(torch: Any) -> None:
    """Put all of it in place."""
    cuda = torch.cuda
    for name in _SILENT:
        setattr(cuda, name, _giving(None))
    for name in _ZERO:
        setattr(cuda, name, _giving(0))
    bytes_here = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    cuda.mem_get_info = _giving((bytes_here, bytes_here))
    cuda.get_device_name = _giving(NAME)
    cuda.get_device_capability = _giving((0, 0))
    cuda.get_device_properties = _giving(
        SimpleNamespace(name=NAME, major=0, minor=0, total_memory=bytes_here, multi_processor_count=1)
    )
    cuda.get_rng_state = lambda device=None: torch.get_rng_state()
    cuda.set_rng_state = lambda state, device=None: torch.set_rng_state(state)
    cuda.device = cuda.device_of = cuda.Stream = cuda.stream = cuda.Event = Nothing
    cuda.current_stream = cuda.default_stream = Nothing
    with contextlib.suppress(ImportError, AttributeError):  # `torch._dynamo` asks what they descend from
        bases = importlib.import_module("torch._streambase")
        bases._EventBase.register(Nothing)
        bases._StreamBase.register(Nothing)
    for kind in TYPES:
        setattr(cuda, kind + "Tensor", getattr(torch, kind + "Tensor"))
    cuda.amp.autocast = functools.partial(_amp_autocast, torch)


def _giving(value: Any) -> Callable[..., Any]:
    return lambda *positional, **named: value


def _amp_autocast(torch: Any, *positional: Any, **named: Any) -> Any:
    return torch.autocast("cuda")
