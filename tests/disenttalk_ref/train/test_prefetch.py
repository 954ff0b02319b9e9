import random
import threading
import time

import pytest
import torch

from disenttalk_ref.train.batches import Batch
from disenttalk_ref.train.prefetch import AHEAD, Prefetcher


def _batch(step: int) -> Batch:
    return Batch(torch.full((1, 1, 1), float(step)), torch.zeros(1, 1, 70), torch.ones(1, 1, dtype=torch.bool))


def test_batches_come_in_order_whichever_thread_is_quicker():
    def draw(step: int) -> Batch:
        time.sleep(random.Random(step).random() / 100)
        return _batch(step)

    source = Prefetcher(draw, 3, 20, 4)
    assert [int(source.take().audio) for _ in range(17)] == list(range(3, 20))
    with pytest.raises(IndexError):
        source.take()
    source.close()


def test_no_more_than_a_few_are_drawn_ahead():
    drawn, enough = [], threading.Event()

    def draw(step: int) -> Batch:
        drawn.append(step)
        if len(drawn) == AHEAD:
            enough.set()
        return _batch(step)

    source = Prefetcher(draw, 0, 1000, 1)
    assert enough.wait(5)
    source.close()
    assert drawn == list(range(AHEAD))


def test_what_goes_wrong_there_is_raised_here():
    def draw(step: int) -> Batch:
        raise RuntimeError(f"step {step}")

    source = Prefetcher(draw, 0, 5, 1)
    with pytest.raises(RuntimeError, match="step 0"):
        source.take()
    source.close()
