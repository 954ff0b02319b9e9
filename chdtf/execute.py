"""Runs chains of stages over shards in local processes. The functions are the same whoever calls them."""

import concurrent.futures
import dataclasses
import functools
import logging
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from chdtf.shards import ShardReport, Stage, is_complete, run_shard

log = logging.getLogger(__name__)

Progress = Callable[[int, int, str], None]  # done shards, all shards, what has just finished


@dataclasses.dataclass(frozen=True)
class Chain:
    """One shard's way through all stages: `work/<step>_<stage>/shard-<index>.parquet` for each."""

    root: Path
    index: int
    stages: tuple[Stage, ...]

    def path(self, step: int) -> Path:
        """The shard after `step` stages; 0 is the input, written from the manifest."""
        name = self.stages[step - 1].name if step else "manifest"
        return self.root / "work" / f"{step:02d}_{name}" / f"shard-{self.index:05d}.parquet"

    @property
    def result(self) -> Path:
        """The shard after the last stage."""
        return self.path(len(self.stages))


@functools.lru_cache(maxsize=16)
def _loaded(stage: Hashable) -> Any:
    """The stage's model, loaded once per process and configuration."""
    assert isinstance(stage, Stage)
    return stage.load()


def run_chain(chain: Chain) -> list[ShardReport]:
    """Run every stage over one shard, in order."""
    return [
        run_shard(stage, functools.partial(_loaded, stage), chain.path(step), chain.path(step + 1), chain.root)
        for step, stage in enumerate(chain.stages)
    ]


def chain_is_complete(chain: Chain) -> bool:
    """Whether `run_chain` would keep every shard; asked without loading any model or starting any process."""
    steps = enumerate(chain.stages)
    return all(is_complete(stage, chain.path(step), chain.path(step + 1)) for step, stage in steps)


def _start_worker(log_level: int) -> None:
    """Leave Ctrl-C to the parent, which stops the workers; and keep native libraries off the user's terminal.

    Python's own stderr stays; the worker logs as much as the parent does.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    os.close(null)
    logging.basicConfig(level=log_level, format="%(levelname)s %(name)s: %(message)s")


def _pool(workers: int) -> concurrent.futures.ProcessPoolExecutor:
    # spawn: MediaPipe and torch hold threads that do not survive a fork
    context = multiprocessing.get_context("spawn")
    level = logging.getLogger().getEffectiveLevel()
    return concurrent.futures.ProcessPoolExecutor(
        workers, mp_context=context, initializer=_start_worker, initargs=(level,)
    )


def _run_pool(chains: Sequence[Chain], workers: int) -> Iterator[tuple[Chain, list[ShardReport] | None]]:
    """Yield each chain with its reports, or with None when a worker died while it was under way."""
    pool = _pool(workers)
    try:
        futures = {pool.submit(run_chain, chain): chain for chain in chains}
        for future in concurrent.futures.as_completed(futures):
            try:
                yield futures[future], future.result()
            except BrokenProcessPool:
                yield futures[future], None
        pool.shutdown()
    except BaseException:
        for process in list((pool._processes or {}).values()):
            process.kill()
        pool.shutdown(wait=True, cancel_futures=True)
        raise


def run_local(chains: Sequence[Chain], workers: int, progress: Progress) -> tuple[list[ShardReport], list[Chain]]:
    """Run all chains with `workers` processes (1: in this one).

    Returns the reports and the chains whose worker died twice: once in company, once alone. They cost their shard, not
    the run; their finished stages are kept, and a rerun tries again.
    """
    reports: list[ShardReport] = []
    if workers <= 1:
        for number, chain in enumerate(chains, 1):
            reports += run_chain(chain)
            progress(number, len(chains), chain.result.stem)
        return reports, []
    finished = 0
    again: list[Chain] = []
    for chain, result in _run_pool(chains, min(workers, max(len(chains), 1))):
        if result is None:
            again.append(chain)
            continue
        finished += 1
        reports += result
        progress(finished, len(chains), chain.result.stem)
    dead: list[Chain] = []
    for chain in again:
        log.warning("a worker died; %s runs again alone", chain.result.stem)
        for _, result in _run_pool([chain], 1):
            if result is None:
                dead.append(chain)
            else:
                reports += result
        finished += 1
        progress(finished, len(chains), chain.result.stem)
    return reports, dead
