"""PyTorch on one thread, where the last bits must not depend on the machine."""

import contextlib
from collections.abc import Iterator


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """How many threads share a sum decides its last bits: with one, every machine and worker gives the same.

    Nothing is lost: workers fill the cores.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
