"""What a step has done of its shard so far: one entry for each row that went in, appended as it is finished.

A process that is killed leaves a journal that ends in the middle of an entry at worst; whoever opens it next goes on
after the last whole one. Once a shard is complete its journal is gone.
"""

import dataclasses
import json
import os
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

from chdtf.errors import UserError


@dataclasses.dataclass(frozen=True)
class Entry:
    """What one row became: where its rows lie and their checksum, their hashes, and whether it is an error."""

    offset: int
    size: int
    crc32: int
    rows: tuple[str, ...]
    is_error: bool


class Journal:
    """An append-only file of entries: a line of JSON, then the rows as an Arrow record batch of the given schema."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.path = path
        self.schema = schema
        path.parent.mkdir(parents=True, exist_ok=True)
        # buffering off: what is written survives the process, in one piece or not at all for small entries
        self._file: BinaryIO = path.open("a+b", buffering=0)
        self.entries = self._read_entries()

    def _read_entries(self) -> dict[str, Entry]:
        entries: dict[str, Entry] = {}
        end = os.fstat(self._file.fileno()).st_size
        whole = 0
        with self.path.open("rb") as stream:
            while (found := _read_header(stream, end)) is not None:
                key, entry = found
                whole = entry.offset + entry.size
                stream.seek(whole)
                if not entry.is_error:  # an error may have passed: this row is tried again
                    entries[key] = entry
        if whole < end:
            self._file.truncate(whole)
        return entries

    def append(self, key: str, table: pa.Table, rows: Sequence[str], is_error: bool) -> None:
        """Add what the row of hash `key` became."""
        batches = table.combine_chunks().to_batches()
        assert len(batches) == 1, "a row becomes at least one row"
        payload = batches[0].serialize()
        crc32 = zlib.crc32(payload)
        header = {"key": key, "rows": list(rows), "error": is_error, "size": payload.size, "crc32": crc32}
        line = json.dumps(header).encode() + b"\n"
        start = self._file.seek(0, os.SEEK_END)
        self._file.write(line)
        self._file.write(payload)
        self.entries[key] = Entry(start + len(line), payload.size, crc32, tuple(rows), is_error)

    def table(self, key: str) -> pa.Table:
        """The rows that the row of hash `key` became. Raises `UserError` when they are not what was written."""
        entry = self.entries[key]
        self._file.seek(entry.offset)
        payload = pa.py_buffer(_read_exactly(self._file, entry.size))
        if zlib.crc32(payload) != entry.crc32:
            raise UserError(f"{self.path}: corrupt journal; rm {self.path} and run the same command again")
        return pa.Table.from_batches([pa.ipc.read_record_batch(payload, self.schema)])

    def close(self) -> None:
        """Close the file; what was appended stays."""
        self._file.close()

    def remove(self) -> None:
        """Close and delete: its shard is complete."""
        self.close()
        self.path.unlink(missing_ok=True)


def _read_exactly(stream: BinaryIO, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size and (part := stream.read(size - len(parts))):
        parts += part
    return bytes(parts)


def _read_header(stream: BinaryIO, end: int) -> tuple[str, Entry] | None:
    """The entry that begins here, or None where the file ends or its last entry was cut off."""
    line = stream.readline()
    if not line.endswith(b"\n"):
        return None
    try:
        header: dict[str, Any] = json.loads(line)
        entry = Entry(stream.tell(), header["size"], header["crc32"], tuple(header["rows"]), header["error"])
        return (header["key"], entry) if 0 < entry.size <= end - entry.offset else None
    except (ValueError, KeyError, TypeError):  # not what `append` wrote: a disk that lost power
        return None


def count_entries(path: Path) -> int:
    """Number of whole entries in a journal, without reading their rows; somebody may be writing to it.

    Raises `FileNotFoundError` when it has just been removed: its shard is complete.
    """
    count = 0
    with path.open("rb") as stream:
        end = os.fstat(stream.fileno()).st_size
        while (found := _read_header(stream, end)) is not None:
            count += 1
            stream.seek(found[1].offset + found[1].size)
    return count
