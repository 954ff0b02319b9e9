"""chdtf.engine.execute_ray: a real Ray makes the same files as this process, also when workers are killed midway."""

import importlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chdtf.engine.chain import Chain
from chdtf.engine.execute import run_local
from chdtf.engine.execute_ray import run_ray
from chdtf.engine.shards import write_shard
from chdtf.engine.watch import read_marker
from chdtf.errors import UserError

pytest.importorskip("ray", reason="needs the extra 'ray'")


@pytest.fixture(scope="module")
def toys() -> Iterator[Any]:
    here = str(Path(__file__).parent)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(here)
        # Ray's workers find the toys there
        patch.setenv("PYTHONPATH", os.pathsep.join([here, os.environ.get("PYTHONPATH", "")]))
        patch.setenv("RAY_AUTH_MODE", "disabled")
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        yield importlib.import_module("toy_stages")


def make_chains(toys: Any, root: Path, pause_s: float = 0.0, shards: int = 4) -> list[Chain]:
    root.mkdir()
    stages = tuple(stage(folder=str(root), pause_s=pause_s) for stage in (toys.Add, toys.Split, toys.Again))
    chains = [Chain(root, index, stages) for index in range(shards)]
    for chain in chains:
        write_shard(toys.input_table([f"v{chain.index}{letter}" for letter in "ab"]), chain.path(0), "by hand")
    return chains


def files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted((root / "work").rglob("shard-*.parquet"))}


def kill_a_worker(root: Path, killed: list[int]) -> None:
    """Kill the first process that works on a shard, in the middle of an item."""
    until = time.monotonic() + 60
    while not killed and time.monotonic() < until:
        for marker in (root / "work" / "running").glob("*.json"):
            state = read_marker(marker)
            if state and state["item"]:
                os.kill(state["pid"], signal.SIGKILL)
                killed.append(state["pid"])
                return
        time.sleep(0.01)


@pytest.mark.slow
def test_a_killed_ray_worker_changes_nothing(toys: Any, tmp_path: Path) -> None:
    chains, whole = make_chains(toys, tmp_path / "ray", pause_s=0.2), make_chains(toys, tmp_path / "whole")
    killed: list[int] = []
    killer = threading.Thread(target=kill_a_worker, args=(tmp_path / "ray", killed))
    killer.start()
    seen: list[tuple[int, int]] = []
    reports, dead = run_ray(chains, None, 2, lambda done, total, _: seen.append((done, total)))
    killer.join()
    assert killed, "a worker was killed"
    assert not dead
    assert seen == [(number, 4) for number in range(1, 5)]
    run_local(whole, 0, lambda *_: None)
    assert files(tmp_path / "ray") == files(tmp_path / "whole")
    assert {report.stage for report in reports} == {"add", "split", "again"}


def test_a_cluster_that_is_not_there_is_one_line(toys: Any, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^--ray-address auto: .*ray start --head"):
        run_ray(make_chains(toys, tmp_path / "none"), "auto", None, lambda *_: None)
