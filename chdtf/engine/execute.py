"""Runs chains over shards: in this process, in local processes, or on a Ray cluster. The functions are the same.

A worker that dies costs at most the row that killed it: its chain is run again, goes on from its journals, and gives
that row up when it dies of it once more (`chdtf.engine.watch`).
"""

import collections
import contextlib
import logging
import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from chdtf.engine.chain import Chain, run_chain
from chdtf.engine.step_log import ShardReport
from chdtf.engine.watch import item_under_way

log = logging.getLogger(__name__)

Progress = Callable[[int, int, str], None]  # done shards, all shards, what has just finished
Outcome = tuple[list[ShardReport], list[Chain]]  # what was done; the chains that were given up
MAX_DEATHS = 5  # of one chain over one item, or over none: it is given up then. An item is given up sooner


def run_local(chains: Sequence[Chain], workers: int, progress: Progress) -> Outcome:
    """Run all chains with so many processes; with 0 in this one, where nothing that is stuck can be ended."""
    if workers < 0:
        raise ValueError(f"{workers} workers; 0 runs in this process")
    if workers == 0:
        return _in_turn(chains, progress)
    pool = _Pool(min(workers, max(len(chains), 1)))
    with contextlib.closing(pool.run(chains)) as results:  # also when progress raises: no worker outlives this call
        return gathered(chains, results, progress)


def _in_turn(chains: Sequence[Chain], progress: Progress) -> Outcome:
    reports: list[ShardReport] = []
    for number, chain in enumerate(chains, 1):
        reports += run_chain(chain)
        progress(number, len(chains), chain.result.stem)
    return reports, []


def gathered(
    chains: Sequence[Chain], results: Iterable[tuple[Chain, list[ShardReport] | None]], progress: Progress
) -> Outcome:
    """Gather results as they come: reports of a chain, or None for one that was given up."""
    reports: list[ShardReport] = []
    dead: list[Chain] = []
    for number, (chain, result) in enumerate(results, 1):
        if result is None:
            dead.append(chain)
        reports += result or []
        progress(number, len(chains), chain.result.stem)
    return reports, dead


class Deaths:
    """Counts how often a worker died over a chain, at the same item, and says when that is enough."""

    def __init__(self) -> None:
        self._counts: collections.Counter[tuple[int, str]] = collections.Counter()

    def is_another_try(self, chain: Chain, why: str) -> bool:
        """Note a death; whether the chain is run again."""
        item = (chain.index, item_under_way(chain.root, chain.index))
        self._counts[item] += 1
        again = self._counts[item] < MAX_DEATHS
        log.warning(
            "a worker died over %s (%s); %s", chain.result.stem, why, "it goes on" if again else "the shard is given up"
        )
        return again


class _Worker:
    """A process that runs one chain after another."""

    def __init__(self) -> None:
        # spawn: MediaPipe and torch hold threads that do not survive a fork
        context = multiprocessing.get_context("spawn")
        self.pipe: Connection
        self.pipe, theirs = context.Pipe()
        level = logging.getLogger().getEffectiveLevel()
        self.process: BaseProcess = context.Process(target=_work, args=(theirs, level), daemon=True)
        self.process.start()
        theirs.close()
        self.chain: Chain | None = None

    def give(self, chain: Chain) -> None:
        self.chain = chain
        self.pipe.send(chain)

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.pipe.close()


class _Pool:
    def __init__(self, workers: int) -> None:
        self._workers = [_Worker() for _ in range(workers)]
        self._deaths = Deaths()

    def run(self, chains: Sequence[Chain]) -> Generator[tuple[Chain, list[ShardReport] | None], None, None]:
        """Yield each chain with its reports, or with None when it was given up."""
        todo = collections.deque(chains)
        try:
            while todo or any(worker.chain for worker in self._workers):
                for worker in self._workers:
                    if worker.chain is None and todo:
                        worker.give(todo.popleft())
                busy = {worker.pipe: worker for worker in self._workers if worker.chain is not None}
                for pipe in multiprocessing.connection.wait(list(busy)):
                    worker = busy[pipe]  # type: ignore[index]
                    chain = worker.chain
                    assert chain is not None
                    found, result = self._received(worker)
                    if found:
                        yield chain, result
                    elif self._deaths.is_another_try(chain, f"exit status {result}"):
                        todo.appendleft(chain)
                    else:
                        yield chain, None
        finally:
            for worker in self._workers:
                worker.end()

    def _received(self, worker: _Worker) -> tuple[bool, Any]:
        """(True, reports), or (False, exit status) of a worker that died, which is replaced. Raises what it raised."""
        try:
            result, error = worker.pipe.recv()
        except (EOFError, OSError):  # OSError: it died while it was answering
            worker.process.join()
            status = worker.process.exitcode
            worker.end()
            self._workers[self._workers.index(worker)] = _Worker()
            return False, status
        worker.chain = None
        if error is not None:
            raise error
        return True, result


def _work(pipe: Connection, log_level: int) -> None:
    """What a worker process does, until it is ended or its parent is gone."""
    _start_worker(log_level)
    while True:
        try:
            chain = pipe.recv()
        except EOFError:
            return
        try:
            answer: tuple[Any, BaseException | None] = run_chain(chain, watched=True), None
        except Exception as error:
            answer = None, error
        try:
            pipe.send(answer)
        except BrokenPipeError:
            return
        except Exception as unsendable:  # an error that cannot be pickled
            pipe.send((None, RuntimeError(f"{type(answer[1]).__name__}: {answer[1]} ({unsendable})")))


def _start_worker(log_level: int) -> None:
    """Leave Ctrl-C to the parent, which ends the workers; end when it is gone; keep native libraries off the terminal.

    Python's own stderr stays; the worker logs as much as the parent does.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    os.close(null)
    logging.basicConfig(level=log_level, format="%(levelname)s %(name)s: %(message)s")


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
