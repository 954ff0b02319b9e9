"""One process at a time in a dataset's folder."""

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

from chdtf.errors import UserError


@contextlib.contextmanager
def exclusive(root: Path) -> Iterator[None]:
    """Hold the folder `root` against builds and publications of other processes.

    Raises `UserError` when another one is at work in it.
    """
    (root / "work").mkdir(parents=True, exist_ok=True)
    with (root / "work" / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(f"{root}: another build is at work in it; wait for it or give another folder") from error
        yield
