"""Results computed ahead in threads, in order, few at a time."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_PER_THREAD = 4  # results that wait for whoever takes them: memory does not grow with the length


def ahead(work: Callable[[_Item], _Result], items: Iterable[_Item], threads: int) -> Iterator[_Result]:
    """`map(work, items)` in order, with `threads` that work ahead of whoever takes the results.

    With one thread nothing runs ahead: each result is computed when it is asked for. An exception of `work` is raised
    in the place of its result. Closing the iterator waits for work under way and drops the rest.
    Raises `ValueError` for less than one thread.
    """
    if threads < 1:
        raise ValueError(f"threads must be 1 or more, not {threads}")
    return map(work, items) if threads == 1 else _ahead(work, items, threads)


def _ahead(work: Callable[[_Item], _Result], items: Iterable[_Item], threads: int) -> Iterator[_Result]:
    waiting: deque[Future[_Result]] = deque()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="render")
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) >= threads * _PER_THREAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
