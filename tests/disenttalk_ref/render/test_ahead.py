"""Working ahead changes neither results nor their order, and never runs far ahead."""

import threading
import time

import pytest

from disenttalk_ref.render.ahead import ahead


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_results_come_in_order(threads: int):
    def work(item: int) -> int:
        time.sleep(0.002 * (item % 3))
        return item * item

    assert list(ahead(work, range(40), threads)) == [item * item for item in range(40)]


def test_it_stays_a_few_items_ahead_and_ends_its_threads():
    given: list[int] = []

    before = threading.active_count()
    results = ahead(lambda item: item, (k for k in range(1000) if given.append(k) is None), 2)
    assert next(results) == 0
    assert len(given) <= 10
    results.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


def test_an_exception_is_raised_in_the_place_of_its_result():
    def work(item: int) -> float:
        return 1 / (item - 3)

    results = ahead(work, range(10), 2)
    assert [next(results) for _ in range(3)] == [-1 / 3, -1 / 2, -1]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_less_than_one_thread_is_refused():
    with pytest.raises(ValueError, match="not 0"):
        ahead(abs, [1], 0)
