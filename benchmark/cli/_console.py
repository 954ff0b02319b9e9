"""What the verbs share: output lines and progress bars."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

T = TypeVar("T")


def say(text: str = "") -> None:
    """A line of the command's result, on stdout."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


_SILENCE_S = 30.0  # between lines where stderr is no terminal, as in the log of a long build


class Report:
    """Adapts a progress bar to the (done, total, what) callback that the packages below take."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._task = bar.add_task("", total=None)
        self._said_at = time.monotonic()

    def __call__(self, done: int, total: int, what: str) -> None:
        """Show that `done` of `total` are finished, the last of them `what`."""
        self._bar.update(self._task, completed=done, total=total, description=what)
        if self._bar.disable and time.monotonic() - self._said_at >= _SILENCE_S:
            self._said_at = time.monotonic()
            self._bar.console.print(f"  {done} of {total} ({what})", highlight=False, soft_wrap=True)


@contextlib.contextmanager
def progress(title: str) -> Iterator[Report]:
    """A progress bar on stderr for one long step; plain lines, now and then, where stderr is no terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        console.print(f"{title} ...", highlight=False)
    columns = (
        TextColumn(title),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        yield Report(bar)


def counted(items: Iterable[T], report: Callable[[int], None]) -> Iterator[T]:
    """Pass items on, reporting after each how many have passed."""
    for number, item in enumerate(items, 1):
        yield item
        report(number)
