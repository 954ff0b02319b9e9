"""chdtf.engine.execute: processes that die or are killed cost a row at most, and a rerun ends where no trouble does."""

import importlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from chdtf.engine.chain import Chain, run_chain
from chdtf.engine.execute import MAX_DEATHS, Deaths, run_local
from chdtf.engine.shards import read_shard, write_shard
from chdtf.engine.watch import Watch, clear, read_marker

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
    reports, dead = run_local(alone, 0, watcher)
    assert (len(reports), dead) == (3 * SHARDS, [])
    assert watcher.seen == [(1, 3), (2, 3), (3, 3)]
    run_local(company, 2, watcher)
    assert watcher.seen[3:] == [(1, 3), (2, 3), (3, 3)]
    assert files(tmp_path / "alone") == files(tmp_path / "company")


def outcomes(chains: list[Chain]) -> dict[str, str | None]:
    rows = [row for chain in chains for row in read_shard(chain.result, ["clip_id", "error"]).to_pylist()]
    return {row["clip_id"]: row["error"] for row in rows}


def test_a_row_that_kills_its_workers_costs_itself_only(toys: Any, tmp_path: Path) -> None:
    chains = make_chains(toys, tmp_path)
    (tmp_path / "again-v1b_001").write_text("die")
    watcher = Watcher()
    _, dead = run_local(chains, 2, watcher)
    assert not dead
    assert watcher.seen[-1] == (3, 3)
    failed = {clip: error for clip, error in outcomes(chains).items() if error}
    assert list(failed) == ["v1b_001"]
    assert failed["v1b_001"].startswith("worker_died: 2 times in stage again; its memory may not")
    (tmp_path / "again-v1b_001").unlink()
    clear(tmp_path)
    (tmp_path / "again.log").unlink()
    run_local(chains, 1, watcher)
    assert not any(outcomes(chains).values())
    assert (tmp_path / "again.log").read_text().split() == ["v1b_001"], "a later run tries it again, and only it"


def test_any_number_of_rows_may_kill_their_workers(toys: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of them costs itself only, whatever a shard may take in deaths that nobody can account for."""
    monkeypatch.setattr("chdtf.engine.execute.MAX_DEATHS", 3)
    chains = make_chains(toys, tmp_path)[:1]
    for name in ("v0a_000", "v0a_001"):
        (tmp_path / f"again-{name}").write_text("die")
    _, dead = run_local(chains, 1, Watcher())
    assert not dead
    failed = sorted(clip for clip, error in outcomes(chains).items() if error)
    assert failed == ["v0a_000", "v0a_001"]


def test_a_shard_whose_workers_die_of_nothing_in_particular_is_given_up(tmp_path: Path) -> None:
    """A worker that cannot even begin, say."""
    deaths = Deaths()
    chain = Chain(tmp_path, 0, ())
    tries = [deaths.is_another_try(chain, "exit status 1") for _ in range(MAX_DEATHS)]
    assert tries == [True] * (MAX_DEATHS - 1) + [False]


def test_a_worker_that_dies_once_costs_nothing(toys: Any, tmp_path: Path) -> None:
    chains, whole = make_chains(toys, tmp_path / "died"), make_chains(toys, tmp_path / "whole")
    (tmp_path / "died" / "split-v2a").write_text("die once")
    run_local(chains, 2, Watcher())
    run_local(whole, 0, Watcher())
    assert files(tmp_path / "died") == files(tmp_path / "whole")
    assert not list((tmp_path / "died/work/running").glob("*.json"))


@pytest.mark.parametrize("kind", ["hang", "hang in C"])
def test_an_item_that_hangs_is_ended_and_named(toys: Any, tmp_path: Path, kind: str) -> None:
    """One item that never returns: ended after its stage's time, named with where it was stuck; the others are done."""
    chains = make_chains(toys, tmp_path)
    (tmp_path / "split-v1a").write_text(kind)
    started = time.monotonic()
    _, dead = run_local(chains, 1, Watcher())
    assert time.monotonic() - started < 15, "the time-out of the toy stages is 1 s"
    assert not dead
    failed = {clip: error for clip, error in outcomes(chains).items() if error}
    assert list(failed) == ["v1a"]
    assert re.fullmatch(r"timed_out: split took longer than 1 s \(in result, toy_stages\.py:\d+\)", failed["v1a"])


def test_two_processes_never_work_on_one_shard(toys: Any, tmp_path: Path) -> None:
    """A worker left over from a killed run may still live when the next run begins: that one waits for it."""
    root = tmp_path / "two"
    (chain, *_) = make_chains(toys, root)
    (tmp_path / "order").mkdir()
    with Watch(root, 0):
        thread = threading.Thread(target=run_local, args=([chain], 1, Watcher()))
        thread.start()
        time.sleep(1.5)
        assert not list(root.rglob("*.journal")), "it waits"
    thread.join(timeout=20)
    assert chain.result.exists()


def test_workers_end_with_their_parent(toys: Any, tmp_path: Path) -> None:
    script = tmp_path / "run.py"
    script.write_text(RUN)
    make_chains(toys, tmp_path / "root")
    (tmp_path / "root" / "add-v0a").write_text("hang")
    command = [sys.executable, str(script), str(Path(__file__).parent), str(tmp_path / "root"), "1", "WARNING"]
    with subprocess.Popen(command) as process:
        marker = tmp_path / "root/work/running/shard-00000.json"
        while (found := read_marker(marker)) is None:
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
    worker = Path("/proc") / str(found["pid"])
    until = time.monotonic() + 5
    while worker.exists() and time.monotonic() < until:
        time.sleep(0.01)
    assert not worker.exists()


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
from chdtf.engine.chain import Chain, run_chain
from chdtf.engine.execute import run_local
if __name__ == "__main__":
    logging.basicConfig(level=sys.argv[4])
    root = Path(sys.argv[2])
    kinds = (toy_stages.Add, toy_stages.Split, toy_stages.Again)
    stages = tuple(kind(folder=str(root), pause_s=0.05) for kind in kinds)
    run_local([Chain(root, index, stages) for index in range(3)], int(sys.argv[3]), lambda *_: None)
"""


@pytest.mark.parametrize(("workers", "stop"), [(0, signal.SIGKILL), (2, signal.SIGKILL), (2, signal.SIGINT)])
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
    run_local(make_chains(toys, root), 0, Watcher())
    assert files(root) == wanted


@pytest.mark.parametrize("workers", [0, 1])
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
