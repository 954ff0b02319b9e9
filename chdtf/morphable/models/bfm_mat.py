"""The arrays of a Basel Face Model's MATLAB file, of which only those that are wanted are unpacked.

Values are read by `chdtf.morphable.exchange.mat5`, since SciPy's reader can end the process on a damaged file.
"""

import dataclasses
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from chdtf.morphable.exchange.mat5 import read_variables

_HEADER, _MATRIX, _COMPRESSED = 128, 14, 15
_HEAD = 512  # bytes that hold a variable's class, shape and name
_LARGEST = 1 << 30  # bytes of one variable when unpacked; BFM 2009's largest has 128 million
_CLASSES = {1: "cell", 2: "struct", 3: "object", 4: "char", 5: "sparse", 6: "double", 7: "single"} | {
    8: "int8", 9: "uint8", 10: "int16", 11: "uint16", 12: "int32", 13: "uint32", 14: "int64", 15: "uint64"
}  # fmt: skip
_DOUBLE, _COMPLEX = 6, 0x0800


@dataclasses.dataclass(frozen=True, eq=False)
class StoredVariable:
    """One variable of a file, not yet unpacked."""

    shape: tuple[int, ...]
    kind: str  # double, single, int32, char, ...
    header: bytes  # of the file
    element: memoryview  # as stored, with its tag
    compressed: bool

    @property
    def is_numeric(self) -> bool:
        """Whether it holds real numbers."""
        return self.kind in ("double", "single") or self.kind.startswith(("int", "uint"))

    def array(self) -> np.ndarray:
        """Its numbers, float32 of singles, else float64 (whole numbers too). Raises `ValueError` if damaged."""
        plain = bytearray(self.header)
        plain += _unpacked(self.element[8:], _LARGEST) if self.compressed else self.element
        if self.kind not in ("double", "single"):  # stored alike, and read only as a double
            plain[_HEADER + (16 if self.header[126:128] == b"IM" else 19)] = _DOUBLE
        (variable,) = read_variables(bytes(plain))
        if variable.array is None:
            raise ValueError(f"{variable.kind} values are not read")
        return variable.array


def variables_of(path: Path) -> dict[str, StoredVariable]:
    """The variables of a MATLAB 5 file by name. Raises `ValueError` if it is no such file, or damaged."""
    data = path.read_bytes()
    order = {b"IM": "<", b"MI": ">"}.get(data[126:128])
    if order is None:
        raise ValueError("not a MATLAB file of level 5")
    found: dict[str, StoredVariable] = {}
    for kind, element in _elements(data, order):
        head = _unpacked(element[8:], _HEAD) if kind == _COMPRESSED else bytes(element[:_HEAD])
        try:
            name, shape, what = _described(head, order)
        except struct.error as error:
            raise ValueError("damaged: a variable without class, size or name") from error
        found[name] = StoredVariable(shape, what, data[:_HEADER], element, kind == _COMPRESSED)
    return found


def _elements(data: bytes, order: str) -> Iterator[tuple[int, memoryview]]:
    """Type and bytes, with the tag, of the variables of a file."""
    at = _HEADER
    while at < len(data):
        if len(data) - at < 8:
            raise ValueError("damaged: it ends within a variable")
        kind, size = struct.unpack_from(f"{order}II", data, at)
        if kind not in (_MATRIX, _COMPRESSED):
            raise ValueError(f"damaged: an element of type {kind} where a variable is expected")
        if size > len(data) - at - 8:
            raise ValueError(f"damaged: a variable of {size:,} bytes, {len(data) - at - 8:,} are left")
        yield kind, memoryview(data)[at : at + 8 + size]
        at += 8 + size


def _described(head: bytes, order: str) -> tuple[str, tuple[int, ...], str]:
    """Name, shape and class of a variable, from its first bytes."""
    flags, size = struct.unpack_from(f"{order}I4xI", head, 16)[0], struct.unpack_from(f"{order}I", head, 28)[0]
    if size % 4 or size > _HEAD // 2:
        raise ValueError(f"damaged: a variable with a size of {size:,} bytes")
    shape = struct.unpack_from(f"{order}{size // 4}i", head, 32)
    at = 32 + size + -size % 8
    kind, length = struct.unpack_from(f"{order}II", head, at)
    start = at + 8
    if kind >> 16:  # a small element: up to four bytes beside the tag
        length, start = kind >> 16, at + 4
    what = ("complex " if flags & _COMPLEX else "") + _CLASSES.get(flags & 0xFF, f"class {flags & 0xFF}")
    name = head[start : start + length]
    if not name.isascii() or not name.decode("ascii").isidentifier():
        raise ValueError("damaged: a variable without a name")
    return name.decode("ascii"), shape, what


def _unpacked(content: memoryview, limit: int) -> bytes:
    """At most `limit` bytes of what was compressed."""
    try:
        return zlib.decompressobj().decompress(content, limit)
    except zlib.error as error:
        raise ValueError(f"damaged: {error}") from error
