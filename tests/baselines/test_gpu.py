"""GPU memory is what nvidia-smi says beyond what was in use before; without that program there is no GPU."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from baselines.gpu import PeakMemory, has_gpu, memory_used_mb


@pytest.fixture(autouse=True)
def asked_anew() -> Iterator[None]:
    has_gpu.cache_clear()
    yield
    has_gpu.cache_clear()


def answering(folder: Path, monkeypatch: pytest.MonkeyPatch, *lines: str, status: int = 0) -> None:
    """An nvidia-smi that prints these lines."""
    program = folder / "nvidia-smi"
    program.write_text("#!/bin/sh\n" + "".join(f"echo '{line}'\n" for line in lines) + f"exit {status}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_no_program_no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not has_gpu()
    memory = PeakMemory()
    memory.look()
    assert memory.megabytes is None


def test_an_idle_gpu_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    answering(tmp_path, monkeypatch, "0", "0")
    assert has_gpu()
    assert memory_used_mb() == 0


def test_a_driver_that_fails_is_no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    answering(tmp_path, monkeypatch, "NVIDIA-SMI has failed", status=9)
    assert not has_gpu()


def test_the_peak_counts_all_gpus_and_leaves_out_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    answering(tmp_path, monkeypatch, "500", "20")
    memory = PeakMemory()
    for used in (("900", "20"), ("4500", "1020"), ("600", "20")):
        answering(tmp_path, monkeypatch, *used)
        memory.look()
    assert memory.megabytes == 5000
