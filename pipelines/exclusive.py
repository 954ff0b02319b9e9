"""One process at a time in a dataset's folder."""

import contextlib
import fcntl
import time
from collections.abc import Iterator
from pathlib import Path

from chdtf.errors import UserError

_TRIES = 10  # 50 ms apart: `disentbench status` holds the folder for a moment, to see whether somebody does


@contextlib.contextmanager
def exclusive(root: Path) -> Iterator[None]:
    """Hold the folder `root` against builds and publications of other processes.

    Raises `UserError` when another one is at work in it, and when it cannot be written to.
    """
    try:
        (root / "work").mkdir(parents=True, exist_ok=True)
        lock = (root / "work" / ".lock").open("w")
    except OSError as error:
        raise UserError(f"{root}: cannot be written to ({error.strerror}); give another folder") from error
    with lock:
        for left in reversed(range(_TRIES)):
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if not left:
                    said = f"{root}: another build is at work in it; wait for it or give another folder"
                    raise UserError(said) from error
            time.sleep(0.05)
        yield
