"""A log of bounded size: its beginning and its end are kept, what was left out between them is said."""

from __future__ import annotations

import collections
import threading
from pathlib import Path
from typing import IO

HEAD_BYTES = 512 * 1024
TAIL_BYTES = 512 * 1024
_CHUNK = 1 << 16


class CappedLog:
    """Copies a stream of any length to a file of at most `HEAD_BYTES` + `TAIL_BYTES`, in a thread of its own.

    The head is written as it comes, so that a log can be read while the process runs; the tail when the stream ends.
    """

    def __init__(self, stream: IO[bytes], path: Path) -> None:
        self._stream, self._path = stream, path
        self._tail: collections.deque[bytes] = collections.deque()
        self._tail_bytes = self.total_bytes = 0
        self._thread = threading.Thread(target=self._copy, daemon=True)
        self._thread.start()

    def join(self, timeout_s: float | None = None) -> None:
        """Wait until the stream has ended and the file is whole."""
        self._thread.join(timeout_s)

    def _copy(self) -> None:
        room = HEAD_BYTES
        with self._path.open("wb", buffering=0) as file:
            for chunk in iter(lambda: self._stream.read1(_CHUNK), b""):  # type: ignore[attr-defined]
                self.total_bytes += len(chunk)
                if room:
                    file.write(chunk[:room])
                rest = chunk[room:]
                room = max(0, room - len(chunk))
                if rest:
                    self._keep(rest)
            dropped = self.total_bytes - (HEAD_BYTES - room) - self._tail_bytes
            if dropped:
                file.write(b"\n... %d bytes left out ...\n" % dropped)
            for chunk in self._tail:
                file.write(chunk)

    def _keep(self, chunk: bytes) -> None:
        self._tail.append(chunk)
        self._tail_bytes += len(chunk)
        while self._tail_bytes - len(self._tail[0]) >= TAIL_BYTES:
            self._tail_bytes -= len(self._tail.popleft())


def last_line(path: Path, limit: int = 300) -> str:
    """The last line of a log that says something, for a message; "" where there is none."""
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - 16384))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    lines = [" ".join(line.split()) for line in text.replace("\r", "\n").split("\n")]
    told = [line for line in lines if line]
    return told[-1][:limit] if told else ""
