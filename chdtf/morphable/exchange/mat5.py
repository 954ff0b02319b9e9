"""MAT-files of level 5 with plain numeric arrays: the part of the format that coefficient files use.

"MAT-File Format" (The MathWorks), level 5. SciPy's reader is not used because one damaged byte can end the process
(a segmentation fault in `read_var_array`, SciPy 1.17); its writer, because it stores the date.
"""

import dataclasses
import math
import struct
import zlib
from collections.abc import Iterator, Mapping

import numpy as np

_HEADER = struct.Struct("116s8sHH")  # text, place of other data, version, bytes order
_TEXT = b"MATLAB 5.0 MAT-file, coefficients of the Basel Face Model".ljust(116)
_INT8, _INT32, _UINT32, _SINGLE, _MATRIX, _COMPRESSED = 1, 5, 6, 7, 14, 15
_STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_CLASSES = {1: "cell", 2: "struct", 3: "object", 4: "char", 5: "sparse", 6: "double", 7: "single"} | {
    8: "int8", 9: "uint8", 10: "int16", 11: "uint16", 12: "int32", 13: "uint32", 14: "int64", 15: "uint64"
}  # fmt: skip
_READ = {"double": "f8", "single": "f4"}
_COMPLEX = 0x0800
_LARGEST = 1 << 30  # bytes of one variable when unpacked: eleven hours of 257 columns


@dataclasses.dataclass(frozen=True, eq=False)
class Variable:
    """One variable; `array` is None unless it is real, single or double."""

    name: str
    kind: str
    shape: tuple[int, ...]
    array: np.ndarray | None


def read_variables(data: bytes) -> list[Variable]:
    """All variables of a file's bytes. Raises `ValueError` when they are no such file, or damaged."""
    if data[:19] == b"MATLAB 7.3 MAT-file":
        raise ValueError("a MATLAB 7.3 file; save it with -v7")
    if len(data) < _HEADER.size or data[126:128] not in (b"IM", b"MI"):
        raise ValueError("not a MATLAB file of level 5")
    order = "<" if data[126:128] == b"IM" else ">"
    found = []
    for kind, content in _elements(memoryview(data)[_HEADER.size :], order):
        if kind == _COMPRESSED:
            kind, content = next(_elements(_unpacked(content), order))  # noqa: PLW2901 - what is inside
        if kind != _MATRIX:
            raise ValueError(f"damaged: an element of type {kind} where a variable is expected")
        found.append(_variable(content, order))
    return found


def write_variables(arrays: Mapping[str, np.ndarray]) -> bytes:
    """A file's bytes with float32 arrays of two axes, always the same for the same arrays."""
    parts = [_HEADER.pack(_TEXT, bytes(8), 0x0100, 0x4D49)]
    for name, array in arrays.items():
        flags = struct.pack("<II", 7, 0)
        content = [_element(_UINT32, flags), _element(_INT32, struct.pack("<2i", *array.shape))]
        content += [_element(_INT8, name.encode()), _element(_SINGLE, array.astype("<f4").tobytes("F"))]
        parts.append(_element(_MATRIX, b"".join(content)))
    return b"".join(parts)


def _element(kind: int, content: bytes) -> bytes:
    """An element: type, size, content, and zeros up to eight bytes."""
    return struct.pack("<II", kind, len(content)) + content + bytes(-len(content) % 8)


def _elements(data: memoryview, order: str) -> Iterator[tuple[int, memoryview]]:
    """Type and content of the elements that lie one after another."""
    at = 0
    while at < len(data):
        if len(data) - at < 8:
            raise ValueError("damaged: it ends within an element")
        kind, size = struct.unpack_from(f"{order}II", data, at)
        if kind >> 16:  # a small element: size and type in one word, four bytes of content
            kind, size, start, step = kind & 0xFFFF, kind >> 16, at + 4, 8
        else:
            start, step = at + 8, 8 + size + (0 if kind == _COMPRESSED else -size % 8)
        left = 4 if start == at + 4 else len(data) - start
        if size > left:
            raise ValueError(f"damaged: an element of {size:,} bytes, {left:,} are left")
        yield kind, data[start : start + size]
        at += step


def _unpacked(content: memoryview) -> memoryview:
    stream = zlib.decompressobj()
    try:
        data = stream.decompress(content, _LARGEST)
    except zlib.error as error:
        raise ValueError(f"damaged: {error}") from error
    if stream.unconsumed_tail:
        raise ValueError(f"a variable of more than {_LARGEST:,} bytes")
    return memoryview(data)


def _variable(content: memoryview, order: str) -> Variable:
    parts = _elements(content, order)
    try:
        (flags_type, flags), (shape_type, sizes), (_, name) = next(parts), next(parts), next(parts)
        (flag,) = struct.unpack_from(f"{order}I", flags)
    except (StopIteration, struct.error) as error:
        raise ValueError("damaged: a variable without size or name") from error
    if flags_type != _UINT32 or shape_type != _INT32 or len(sizes) % 4:
        raise ValueError("damaged: a variable without flags or size")
    shape = tuple(int(size) for size in np.frombuffer(sizes, f"{order}i4"))
    kind = ("complex " if flag & _COMPLEX else "") + _CLASSES.get(flag & 0xFF, f"class {flag & 0xFF}")
    array = _numbers(next(parts, None), shape, kind, order) if kind in _READ else None
    return Variable(bytes(name).decode("ascii", "replace"), kind, shape, array)


def _numbers(stored: tuple[int, memoryview] | None, shape: tuple[int, ...], kind: str, order: str) -> np.ndarray:
    """The values; MATLAB stores whole numbers in a smaller type than the variable's."""
    if stored is None or stored[0] not in _STORED:
        raise ValueError("damaged: a variable without values")
    dtype = np.dtype(f"{order}{_STORED[stored[0]]}")
    if min(shape, default=-1) < 0 or math.prod(shape) * dtype.itemsize != len(stored[1]):
        raise ValueError(f"damaged: {len(stored[1]):,} bytes of {dtype.name} are no array {shape}")
    values = np.frombuffer(stored[1], dtype).reshape(shape, order="F")
    return np.ascontiguousarray(values, _READ[kind])
