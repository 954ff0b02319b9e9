"""Whether there is a GPU, and how much of its memory a method took: read from nvidia-smi, nothing is imported."""

import functools
import shutil
import subprocess

_QUERY = ["--query-gpu=memory.used", "--format=csv,noheader,nounits"]


@functools.cache
def has_gpu() -> bool:
    """Whether nvidia-smi finds one; asked once a process."""
    return memory_used_mb() is not None


def memory_used_mb() -> int | None:
    """Megabytes in use on all GPUs together; None where there is none.

    Counted for the whole machine: processes inside containers are not told apart by number.
    """
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    try:
        done = subprocess.run([program, *_QUERY], capture_output=True, text=True, check=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return None
    values = [int(line) for line in done.stdout.split() if line.isdigit()]
    return sum(values) if values else None


class PeakMemory:
    """The most memory that was in use at any call of `look`, beyond what was in use at first."""

    def __init__(self) -> None:
        self._before = (memory_used_mb() or 0) if has_gpu() else 0
        self._peak = 0

    def look(self) -> None:
        """Look once; free where there is no GPU."""
        if has_gpu():
            self._peak = max(self._peak, (memory_used_mb() or 0) - self._before)

    @property
    def megabytes(self) -> int | None:
        """None where there is no GPU."""
        return self._peak if has_gpu() else None
