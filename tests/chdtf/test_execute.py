"""chdtf.execute: processes that die or are killed cost their shard at most, and a rerun ends where no trouble does."""

import importlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from chdtf.execute import Chain, run_chain, run_local
from chdtf.shards import read_shard, write_shard

SHARDS = 3


@pytest.fixture(scope="module")
def toys() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parent))
        yield importlib.import_module("toy_stages")


def make_chains(toys: Any, root: Path, pause_s: float = 0.0) -> list[Chain]:
    root.mkdir(exist_ok=True)
    stages = tuple(stage(folder=str(root), pause_s=pause_s) for stage in (toys.Add, toys.Split, toys.Again))
    chains = [Chain(root, index, stages) for index in range(SHARDS)]
    for chain in chains:
        if not chain.path(0).exists():
            write_shard(toys.input_table([f"v{chain.index}{letter}" for letter in "ab"]), chain.path(0), "by hand")
    return chains


def files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted((root / "work").rglob("shard-*.parquet"))}


class Watcher:
    """Remembers what progress was reported."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, int]] = []

    def __call__(self, done: int, total: int, what: str) -> None:
        self.seen.append((done, total))


def test_processes_make_the_same_bytes_as_none(toys: Any, tmp_path: Path) -> None:
    alone, company = make_chains(toys, tmp_path / "alone"), make_chains(toys, tmp_path / "company")
    watcher = Watcher()
    reports, dead = run_local(alone, 1, watcher)
    assert (len(reports), dead) == (3 * SHARDS, [])
    assert watcher.seen == [(1, 3), (2, 3), (3, 3)]
    run_local(company, 2, watcher)
    assert watcher.seen[3:] == [(1, 3), (2, 3), (3, 3)]
    assert files(tmp_path / "alone") == files(tmp_path / "company")


def test_a_dying_worker_costs_its_shard_only(toys: Any, tmp_path: Path) -> None:
    chains = make_chains(toys, tmp_path)
    (tmp_path / "again-v1b_001").write_text("die")
    watcher = Watcher()
    _, dead = run_local(chains, 2, watcher)
    assert [chain.index for chain in dead] == [1]
    assert watcher.seen[-1] == (3, 3)
    assert [chain.result.exists() for chain in chains] == [True, False, True]
    assert chains[1].path(2).exists(), "its finished stages are kept"
    (tmp_path / "again-v1b_001").unlink()
    _, dead = run_local(chains, 2, watcher)
    assert not dead
    assert all(read_shard(chain.result).num_rows == 6 for chain in chains)


def test_a_worker_that_dies_once_costs_nothing(toys: Any, tmp_path: Path) -> None:
    chains = make_chains(toys, tmp_path)
    (tmp_path / "split-v2a").write_text("die once")
    _, dead = run_local(chains, 2, Watcher())
    assert not dead
    assert all(read_shard(chain.result).num_rows == 6 for chain in chains)


def test_an_error_in_a_worker_reaches_the_caller(toys: Any, tmp_path: Path) -> None:
    chains = make_chains(toys, tmp_path)
    chains[1].path(0).write_bytes(b"not a shard")
    with pytest.raises(Exception, match="not a readable shard"):
        run_local(chains, 2, Watcher())


RUN = """
import logging, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a parent in the background leaves it ignored
sys.path[:0] = [sys.argv[1]]
import toy_stages
from pathlib import Path
from chdtf.execute import Chain, run_chain, run_local
if __name__ == "__main__":
    logging.basicConfig(level=sys.argv[4])
    root = Path(sys.argv[2])
    kinds = (toy_stages.Add, toy_stages.Split, toy_stages.Again)
    stages = tuple(kind(folder=str(root), pause_s=0.05) for kind in kinds)
    run_local([Chain(root, index, stages) for index in range(3)], int(sys.argv[3]), lambda *_: None)
"""


@pytest.mark.parametrize(("workers", "stop"), [(1, signal.SIGKILL), (2, signal.SIGINT)])
def test_a_stopped_run_continues_to_the_same_end(toys: Any, tmp_path: Path, workers: int, stop: signal.Signals) -> None:
    script = tmp_path / "run.py"
    script.write_text(RUN)
    root, whole = tmp_path / "stopped", tmp_path / "whole"
    make_chains(toys, root)
    for chain in make_chains(toys, whole):
        run_chain(chain)
    wanted = files(whole)
    command = [sys.executable, str(script), str(Path(__file__).parent), str(root), str(workers), "WARNING"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True) as process:
        while not 4 <= len(files(root)) < len(wanted):
            assert process.poll() is None, "it ended before it could be stopped"
            time.sleep(0.005)
        if stop == signal.SIGINT:
            os.killpg(process.pid, stop)  # as Ctrl-C does: to every process of the terminal
        else:
            process.send_signal(stop)
        process.wait(timeout=20)
        assert process.returncode != 0
    before = files(root)
    assert len(before) < len(wanted)
    run_local(make_chains(toys, root), 1, Watcher())
    assert files(root) == wanted
    assert not list(root.rglob(".tmp-*")) or stop == signal.SIGKILL


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(("level", "shown"), [("WARNING", False), ("INFO", True)])
def test_the_traceback_of_a_row_is_shown_only_to_who_debugs(
    toys: Any, tmp_path: Path, workers: int, level: str, shown: bool
) -> None:
    """A bug that a row meets is one line on stderr; its traceback comes with --debug, which logs at INFO."""
    script = tmp_path / "run.py"
    script.write_text(RUN)
    make_chains(toys, tmp_path)
    (tmp_path / "add-v1b").write_text("bug")
    command = [sys.executable, str(script), str(Path(__file__).parent), str(tmp_path), str(workers), level]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "v1b: stage add: ZeroDivisionError: planted" in done.stderr
    assert ("Traceback" in done.stderr) == shown
