"""Fixtures shared by all tests. Nothing here or below reaches beyond the loopback interface."""

import importlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from hypothesis import settings

# CI draws the same examples every time, so that a red run is a change's fault; elsewhere hypothesis explores
settings.register_profile("ci", derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")

REPOSITORY = Path(__file__).resolve().parent.parent
_LOOPBACK = ("127.", "::1", "localhost")


@pytest.fixture(autouse=True)
def _loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse every connection that would leave this machine."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if isinstance(address, tuple) and not str(address[0]).startswith(_LOOPBACK):
            raise AssertionError(f"a test tried to reach {address}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real videos and reference scores beside the checkout; tests that need it skip without it."""
    folder = Path(os.environ.get("DISENTBENCH_SHARED", REPOSITORY.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"needs the real material in {folder} (set DISENTBENCH_SHARED)")
    return folder


@pytest.fixture(scope="module")
def hand() -> Iterator[Any]:
    """The module `handmade`: finished rows made by hand."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parent))
        yield importlib.import_module("handmade")


@pytest.fixture(scope="module")
def dataset(hand: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small dataset, published from rows made by hand."""
    root = tmp_path_factory.mktemp("dataset")
    hand.publish_small(root)
    return root


@pytest.fixture(scope="session")
def sample_dataset(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """The bundled sample, drawn and built whole by the command that users run; about a minute, once for all workers."""
    from benchmark.cli import main

    base = tmp_path_factory.getbasetemp()
    folder = base if worker_id == "master" else base.parent  # pytest-xdist gives every worker a folder of its own
    out = folder / "built" / "sample"
    with FileLock(folder / "built.lock"):
        if not (out / "dataset.json").exists():
            assert main(["build", "--out", str(out)]) == 0
    return out
