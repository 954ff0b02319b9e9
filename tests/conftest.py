"""Fixtures shared by all tests. Nothing here or below reaches beyond the loopback interface."""

import importlib
import os
import socket
from collections.abc import Callable, Iterator
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


Once = Callable[[str, Callable[[Path], object]], Path]


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Once:
    """`once(name, make)`: the folder `name` that `make` builds, whole, once for all workers of pytest-xdist.

    Others wait for it, and nobody writes to it: a test that changes it makes a copy.
    """
    base = tmp_path_factory.getbasetemp()
    built = (base if worker_id == "master" else base.parent) / "built"  # every worker has a base folder of its own
    built.mkdir(exist_ok=True)

    def get(name: str, make: Callable[[Path], object]) -> Path:
        out, done = built / name, built / f"{name}.done"
        with FileLock(built / f"{name}.lock"):
            if not done.exists():
                make(out)
                done.touch()
        return out

    return get


@pytest.fixture(scope="session")
def sample_dataset(once: Once) -> Path:
    """The bundled sample, drawn and built whole by the command that users run; about a minute."""
    from benchmark.cli import main

    def make(out: Path) -> None:
        assert main(["build", "--out", str(out)]) == 0

    return once("sample", make)


# each stands for what it has of its own: a codec, a size, a rate, or a reason to be refused
FEW_CLIPS = (
    *("grid_bbaf2n", "merkel_15", "mead_w040", "obama_540p", "may_5s", "raw_720p", "latentsync_1", "hdtf_katiehill"),
    *("imtalker_3", "liveportrait_d9", "lrs3_profile", "skarsgard_1080p"),
)


@pytest.fixture(scope="session")
def real_dataset(shared: Path, once: Once) -> Path:
    """The real videos `hard` and `clips`, built; of the clips a dozen unless DISENTBENCH_ALL_CLIPS is set."""
    from chdtf.manifest import from_folder, write_manifest
    from pipelines.build import build

    def make(out: Path) -> None:
        clips = from_folder(shared / "data" / "clips")
        if not os.environ.get("DISENTBENCH_ALL_CLIPS"):
            clips = [row for row in clips if row.video_id in FEW_CLIPS]
        manifest = out.parent / "real.csv"
        write_manifest([*from_folder(shared / "data" / "hard"), *clips], manifest)
        build(manifest, out, workers=2, allow_local=True)

    return once("real", make)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Modules with slow tests first, so that no worker begins a long one when the others are done.

    The one that has most tests of the bundled sample is the first of all, and the others of it are the last slow ones:
    while one worker builds it, the others have something else to do. Needs `--no-loadscope-reorder` (see the Makefile).
    """
    slow: dict[Path, int] = {item.path: 0 for item in items if item.get_closest_marker("slow")}
    for item in items:
        if item.path in slow:
            slow[item.path] += "sample_dataset" in getattr(item, "fixturenames", ())
    most = max(slow.values(), default=0)

    def place(item: pytest.Item) -> int:
        tests_of_sample = slow.get(item.path)
        if tests_of_sample is None:
            return 3
        return 0 if 0 < tests_of_sample == most else 1 + (tests_of_sample > 0)

    items.sort(key=place)
