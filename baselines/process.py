"""A driver's process: watched, stopped with everything that it started, its words kept in a log of bounded size."""

import contextlib
import dataclasses
import hashlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from baselines.gpu import PeakMemory
from baselines.runtime.capped_log import CappedLog, last_line

_MARK = "DISENTBENCH_JOB"  # in the environment of a driver and of all that it starts, whatever group they join
_POLL_S = 0.05
_LOOK_S = 1.0  # between looks at the GPU: nvidia-smi takes a while


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a process ended: `trouble` is "" when it ended well. `gpu_memory_mb` is None where there is no GPU."""

    trouble: str
    seconds: float
    gpu_memory_mb: int | None = None


def run_driver(
    command: Sequence[str],
    environment: Mapping[str, str],
    log_file: Path,
    timeout_s: float,
    num_finished: Callable[[], int],
) -> Outcome:
    """Run a driver until it ends, or until `num_finished()` has not grown for `timeout_s` seconds.

    What an earlier run with the same log left alive, because it was killed itself, is stopped first: it would write the
    same files.
    """
    mark = hashlib.sha256(str(log_file.resolve()).encode()).hexdigest()[:32]
    _kill_marked(mark)
    started = time.monotonic()
    memory = PeakMemory()
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**environment, _MARK: mark},
        start_new_session=True,
    )
    assert process.stdout is not None
    log = CappedLog(process.stdout, log_file)
    trouble = ""
    try:
        if not _watch(process, timeout_s, num_finished, memory):
            trouble = f"timed out after {timeout_s:g} s; see {log_file}"
    finally:
        _stop(process, mark)
        log.join(5.0)
    if not trouble and process.returncode:
        trouble = f"exit status {process.returncode}; see {log_file}"
        if words := last_line(log_file):
            trouble += f", which ends: {words}"
    return Outcome(trouble, time.monotonic() - started, memory.megabytes)


def _watch(
    process: "subprocess.Popen[bytes]", timeout_s: float, num_finished: Callable[[], int], memory: PeakMemory
) -> bool:
    """Wait for its end; False when it made nothing for too long."""
    finished, since, looked = num_finished(), time.monotonic(), 0.0
    while process.poll() is None:
        now, found = time.monotonic(), num_finished()
        if found != finished:
            finished, since = found, now
        if now - since > timeout_s:
            return False
        if now - looked >= _LOOK_S:
            memory.look()
            looked = now
        time.sleep(_POLL_S)
    return True


def _stop(process: "subprocess.Popen[bytes]", mark: str) -> None:
    """Kill what is left of it: its group, and whatever left that group but carries its mark."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    _kill_marked(mark)
    process.wait()


def _kill_marked(mark: str) -> None:
    for number in _marked(mark):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(number, signal.SIGKILL)


def _marked(mark: str) -> list[int]:
    wanted = f"{_MARK}={mark}".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):  # nothing where there is no /proc
        with contextlib.suppress(OSError):
            if wanted in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
    return found
