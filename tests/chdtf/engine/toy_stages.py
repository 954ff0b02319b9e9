"""Small stages whose behaviour a test sets by files; a module of their own, so that worker processes find them."""

import ctypes
import dataclasses
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa

from chdtf.columns import Row
from chdtf.engine.shards import Workspace
from chdtf.errors import Reject, Transient

HERE = {"fingerprint": False}


@dataclasses.dataclass(frozen=True)
class Add:
    """value + amount, logged to `folder`; a file `<stage>-<clip_id>` there makes trouble of the kind that it names."""

    name: ClassVar[str] = "add"
    version: ClassVar[int] = 1
    timeout_s: ClassVar[float] = 1.0
    adds: ClassVar[pa.Schema] = pa.schema([("value", pa.int64())])

    amount: int = 1
    remark: str = ""  # part of the settings, not of the result
    folder: str = dataclasses.field(default="", metadata=HERE)
    pause_s: float = dataclasses.field(default=0.0, metadata=HERE)

    def load(self) -> str:
        return "model"

    def apply(self, row: Row, model: str, workspace: Workspace) -> Iterable[Row]:
        assert model == "model"
        time.sleep(self.pause_s)
        with (Path(self.folder) / f"{self.name}.log").open("a") as log:
            log.write(f"{row['clip_id']}\n")
        return self.result(row)

    def result(self, row: Row) -> list[Row]:
        trouble = Path(self.folder) / f"{self.name}-{row['clip_id']}"
        kind = trouble.read_text() if trouble.exists() else ""
        if kind == "transient":
            raise Transient("the network is away")
        if kind == "reject":
            raise Reject("ugly", "score 7")
        if kind == "bug":
            raise ZeroDivisionError("planted")
        if kind == "stop":
            raise KeyboardInterrupt
        if kind == "hang":
            time.sleep(3600)
        if kind == "hang in C":  # with the interpreter's lock
            ctypes.PyDLL(None).sleep(3600)
        if kind == "die once":
            trouble.unlink()
        if kind.startswith("die"):
            os._exit(1)
        return [{**row, "value": (row.get("value") or 0) + self.amount}]


@dataclasses.dataclass(frozen=True)
class Again(Add):
    """The same under another name."""

    name: ClassVar[str] = "again"


@dataclasses.dataclass(frozen=True)
class Patient(Again):
    """The same with more time."""

    timeout_s: ClassVar[float] = 60.0


@dataclasses.dataclass(frozen=True)
class Split(Add):
    """One row becomes as many as its value."""

    name: ClassVar[str] = "split"
    adds: ClassVar[pa.Schema] = pa.schema([("part", pa.int64())])

    def result(self, row: Row) -> list[Row]:
        (kept,) = super().result(row)
        return [
            {**row, "clip_id": f"{row['clip_id']}_{part:03d}", "part": part} for part in range(max(1, kept["value"]))
        ]


@dataclasses.dataclass(frozen=True)
class Decode(Add):
    """Yields three clips of a video one after another, each with its frames in memory."""

    name: ClassVar[str] = "decode"
    adds: ClassVar[pa.Schema] = pa.schema([("part", pa.int64())])

    def apply(self, row: Row, model: str, workspace: Workspace) -> Iterator[Row]:
        trouble = Path(self.folder) / f"decode-{row['clip_id']}"
        for part in range(3):
            if trouble.exists() and part == 2:
                raise Reject("unreadable", "the rest")
            _note(self.folder, f"decode-{row['clip_id']}{part}")
            clip_id = f"{row['clip_id']}_{part:03d}"
            workspace.scratch["frames"] = clip_id
            yield {**row, "clip_id": clip_id, "part": part}
            del workspace.scratch["frames"]


@dataclasses.dataclass(frozen=True)
class Use(Add):
    """Says where it found the frames."""

    name: ClassVar[str] = "use"
    adds: ClassVar[pa.Schema] = pa.schema([("found", pa.string())])

    def apply(self, row: Row, model: str, workspace: Workspace) -> Iterable[Row]:
        _note(self.folder, f"use-{row['clip_id']}")
        return [{**row, "found": "memory" if workspace.scratch.get("frames") == row["clip_id"] else "disk"}]


@dataclasses.dataclass(frozen=True)
class Value(Add):
    """The value is the manifest's beginning in whole seconds, and `amount`; 7 is refused."""

    name: ClassVar[str] = "value"

    def result(self, row: Row) -> list[Row]:
        if row["start_s"] == 7:
            raise Reject("seven", "as the manifest has it")
        return super().result({**row, "value": int(row["start_s"])})


@dataclasses.dataclass(frozen=True)
class Film(Add):
    """Writes a file for the clip, which tells its value."""

    name: ClassVar[str] = "film"
    adds: ClassVar[pa.Schema] = pa.schema([("video", pa.string())])

    def apply(self, row: Row, model: str, workspace: Workspace) -> list[Row]:
        (kept,) = self.result(row)
        path = workspace.file(row["clip_id"], ".txt")
        path.write_text(f"{kept['value']} {row['part']} {row['language']}")
        return [{**row, "video": workspace.relative(path)}]


@dataclasses.dataclass(frozen=True)
class Fetch(Add):
    """Finds out what the page embeds."""

    name: ClassVar[str] = "fetch"
    adds: ClassVar[pa.Schema] = pa.schema([("site_id", pa.string())])

    def result(self, row: Row) -> list[Row]:
        return [{**row, "site_id": f"youtube:{row['video_id'] * 11}"}]


def _note(folder: str, words: str) -> None:
    with (Path(folder) / "order.log").open("a") as log:
        log.write(f"{words}\n")


def input_table(names: Iterable[str], value: int = 1) -> pa.Table:
    """Rows as the first stage gets them."""
    rows: list[dict[str, Any]] = [{"video_id": name, "value": value, "clip_id": name} for name in names]
    fields = [("video_id", pa.string()), ("value", pa.int64()), ("clip_id", pa.string())]
    return pa.Table.from_pylist(rows, schema=pa.schema([*fields, ("error", pa.string()), ("reject", pa.string())]))
