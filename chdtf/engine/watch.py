"""Watches over one shard's work: names what is under way, ends what is stuck, and remembers who died of what.

The marker `work/running/shard-00000.json` names the item under way, for `disentbench status` and for whoever comes
next. A process that is stuck in one item for too long is ended from within (by a thread that needs no interpreter
lock), with the traceback beside the marker. Whoever runs the chain again finds the marker, and gives the item up when
it was stuck, or when its process has died of it twice.
"""

import collections
import contextlib
import dataclasses
import faulthandler
import fcntl
import json
import os
import re
import shutil
import socket
import threading
import time
from pathlib import Path
from typing import Any

from chdtf.engine.stage import RUNNING
from chdtf.files import write_text

_DEATHS_BEFORE_GIVING_UP = 2
_FRAME = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+) in (?P<name>\S+)')


@dataclasses.dataclass(frozen=True)
class Item:
    """What a worker is at: the stage, the clip or video, since when, and how long it may take."""

    stage: str
    clip_id: str
    since: float  # seconds since the epoch
    timeout_s: float
    thread: str  # that works on it, as a traceback names it

    @property
    def key(self) -> str:
        """How deaths are counted."""
        return f"{self.stage}/{self.clip_id}"


class NoWatch:
    """Watches nothing: for work within the caller's own process, which must not be ended."""

    def begin(self, stage: str, clip_id: str, timeout_s: float) -> None:
        """An item begins, or goes on after what it had yielded was worked on."""

    def end(self) -> None:
        """It is done, or has yielded."""

    def given_up(self, stage: str, clip_id: str) -> str | None:
        """Why the item is not tried again, or None."""
        return None


class Watch(NoWatch):
    """Watches over one shard in a process that may be ended. Holds the shard against any other process."""

    def __init__(self, root: Path, index: int) -> None:
        self._base = _base(root, index)
        self._deaths: collections.Counter[str] = collections.Counter()
        self._given_up: dict[str, str] = {}
        self._item: Item | None = None
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> "Watch":
        self._base.parent.mkdir(parents=True, exist_ok=True)
        lock = self._stack.enter_context(self._base.with_suffix(".lock").open("w"))
        fcntl.flock(lock, fcntl.LOCK_EX)  # a process of a run that was killed may live for a moment longer
        self._learn_from_the_dead()
        self._stuck = self._stack.enter_context(self._base.with_suffix(".stuck").open("w"))
        return self

    def __exit__(self, *_: object) -> None:
        faulthandler.cancel_dump_traceback_later()
        self._stack.close()
        for suffix in (".json", ".stuck"):
            self._base.with_suffix(suffix).unlink(missing_ok=True)

    def begin(self, stage: str, clip_id: str, timeout_s: float) -> None:
        """Note the item, and end this process unless `end` is called in time."""
        self._item = Item(stage, clip_id, time.time(), timeout_s, f"0x{threading.get_ident():016x}")
        self._write()
        faulthandler.dump_traceback_later(timeout_s, exit=True, file=self._stuck)

    def end(self) -> None:
        """The item is done, or has yielded."""
        faulthandler.cancel_dump_traceback_later()
        self._item = None

    def given_up(self, stage: str, clip_id: str) -> str | None:
        """Why the item is not tried again in this run, or None."""
        return self._given_up.get(f"{stage}/{clip_id}")

    def _write(self) -> None:
        state = {
            "item": dataclasses.asdict(self._item) if self._item else None,
            "deaths": self._deaths,
            "given_up": self._given_up,
            "pid": os.getpid(),
            "host": socket.gethostname(),
        }
        write_text(self._base.with_suffix(".json"), json.dumps(state))

    def _learn_from_the_dead(self) -> None:
        """Read the marker of a process that died over this shard within the same run."""
        state = read_marker(self._base.with_suffix(".json"))
        if state is None:
            return
        self._deaths.update(state["deaths"])
        self._given_up.update(state["given_up"])
        if state["item"] is None:
            return
        item = Item(**state["item"])
        self._deaths[item.key] += 1
        if where := _innermost(self._base.with_suffix(".stuck"), item.thread):
            self._given_up[item.key] = f"timed_out: {item.stage} took longer than {item.timeout_s:g} s (in {where})"
        elif self._deaths[item.key] >= _DEATHS_BEFORE_GIVING_UP:
            deaths = self._deaths[item.key]
            self._given_up[item.key] = (
                f"worker_died: {deaths} times in stage {item.stage}; its memory may not have sufficed"
            )
        self._item = None
        self._write()


def _innermost(path: Path, thread: str) -> str | None:
    """Where the thread was stuck, from the tracebacks that its process left; None when it left none."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None
    found = _FRAME.search(text.partition(thread)[2] or text)
    return f"{found['name']}, {Path(found['file']).name}:{found['line']}" if found else (text.strip()[:80] or None)


def item_under_way(root: Path, index: int) -> str:
    """What a shard's process is at, or was when it died: stage and clip; empty when nothing tells."""
    state = read_marker(_base(root, index).with_suffix(".json"))
    return f"{state['item']['stage']}/{state['item']['clip_id']}" if state and state["item"] else ""


def _base(root: Path, index: int) -> Path:
    return root / RUNNING / f"shard-{index:05d}"


def read_marker(path: Path) -> dict[str, Any] | None:
    """What a marker says, or None when there is none."""
    try:
        state: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return state


def clear(root: Path) -> None:
    """Forget the deaths of earlier runs: a new run tries everything again. The caller holds the folder."""
    for path in (root / RUNNING).glob("shard-*"):
        if path.suffix in (".json", ".stuck"):
            path.unlink(missing_ok=True)


def tidy(root: Path) -> None:
    """Remove what only a run under way needs, after one that completed every shard. The caller holds the folder."""
    shutil.rmtree(root / RUNNING, ignore_errors=True)
    for left in (root / "work").glob("*/shard-*.journal"):  # of a process killed just after it wrote its shard
        left.unlink(missing_ok=True)
