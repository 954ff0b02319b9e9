"""Batches prepared in background threads, a few steps ahead, and handed out in order."""

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from disenttalk_ref.train.batches import Batch

AHEAD = 4  # batches a thread


class Prefetcher:
    """Threads, because NumPy and PyTorch release Python's lock where the work is; processes would copy the clips.

    What is drawn depends on the step alone, so neither the number of threads nor their order changes a run.
    """

    def __init__(self, draw: Callable[[int], Batch], first: int, last: int, threads: int) -> None:
        """`draw` is called for every step from `first` up to `last`, not included."""
        self._draw, self._next, self._last = draw, first, last
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="batches")
        self._coming: deque[Future[Batch]] = deque()
        self._ahead = threads * AHEAD
        self.waited_s = 0.0  # in all, by the one who takes them
        self._fill()

    def take(self) -> Batch:
        """The batch of the next step. Raises what `draw` raised, `IndexError` after the last one."""
        began = time.perf_counter()
        batch = self._coming.popleft().result()
        self.waited_s += time.perf_counter() - began
        self._fill()
        return batch

    def close(self) -> None:
        """Stop; what was begun is finished first."""
        self._pool.shutdown(cancel_futures=True)

    def _fill(self) -> None:
        while self._next < self._last and len(self._coming) < self._ahead:
            self._coming.append(self._pool.submit(self._draw, self._next))
            self._next += 1
