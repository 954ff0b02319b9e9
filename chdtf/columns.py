"""Rows (dictionaries, with NumPy arrays for array columns) to Arrow tables and back, without Python lists of floats."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

Row = dict[str, Any]


def _dtype(value_type: pa.DataType) -> np.dtype[Any]:
    return np.dtype(value_type.to_pandas_dtype())


def _flat(values: np.ndarray, value_type: pa.DataType) -> pa.Array:
    return pa.array(np.ascontiguousarray(values, dtype=_dtype(value_type)).reshape(-1), type=value_type)


def _is_numeric(kind: pa.DataType) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind))


def _array(values: list[Any], kind: pa.DataType) -> pa.Array:
    """One column. Array columns take NumPy arrays: (K,) fixed-size list, (T,) list, (T, K) list of fixed-size lists."""
    mask = pa.array([value is None for value in values], type=pa.bool_())
    if pa.types.is_fixed_size_list(kind) and _is_numeric(kind.value_type):
        width = kind.list_size
        rows = [np.zeros(width) if value is None else np.asarray(value).reshape(width) for value in values]
        flat = _flat(np.concatenate(rows) if rows else np.zeros(0), kind.value_type)
        return pa.FixedSizeListArray.from_arrays(flat, type=kind, mask=mask)
    if pa.types.is_list(kind) and (_is_numeric(kind.value_type) or pa.types.is_fixed_size_list(kind.value_type)):
        inner = kind.value_type
        width = inner.list_size if pa.types.is_fixed_size_list(inner) else 1
        leaf = inner.value_type if pa.types.is_fixed_size_list(inner) else inner
        parts = [np.zeros(0, _dtype(leaf)) if value is None else np.asarray(value).reshape(-1) for value in values]
        offsets = np.cumsum([0, *(len(part) // width for part in parts)]).astype(np.int32)
        flat = _flat(np.concatenate(parts) if parts else np.zeros(0), leaf)
        items = pa.FixedSizeListArray.from_arrays(flat, type=inner) if width > 1 or leaf is not inner else flat
        return pa.ListArray.from_arrays(pa.array(offsets), items, type=kind, mask=mask)
    return pa.array(values, type=kind)


def table_from_rows(rows: Sequence[Row], schema: pa.Schema) -> pa.Table:
    """Build a table; a column that a row lacks is null, a key that the schema lacks is an error."""
    names = set(schema.names)
    for row in rows:
        if extra := set(row) - names:
            raise ValueError(f"columns {sorted(extra)} are not in the schema {schema.names}")
    return pa.Table.from_arrays([_array([row.get(f.name) for row in rows], f.type) for f in schema], schema=schema)


def _values(column: pa.ChunkedArray) -> list[Any]:
    kind = column.type
    is_array = (pa.types.is_fixed_size_list(kind) and _is_numeric(kind.value_type)) or (
        pa.types.is_list(kind)
        and (
            _is_numeric(kind.value_type)
            or (pa.types.is_fixed_size_list(kind.value_type) and _is_numeric(kind.value_type.value_type))
        )
    )
    if not is_array:
        values: list[Any] = column.to_pylist()
        return values
    out: list[Any] = []
    for scalar in column:
        if not scalar.is_valid:
            out.append(None)
            continue
        items = scalar.values
        if pa.types.is_fixed_size_list(items.type):
            out.append(items.flatten().to_numpy(zero_copy_only=False).reshape(-1, items.type.list_size))
        else:
            out.append(items.to_numpy(zero_copy_only=False))
    return out


def rows_from_table(table: pa.Table) -> list[Row]:
    """Rows of a table; numeric list columns become read-only NumPy arrays of shape (K,), (T,) or (T, K)."""
    columns = {name: _values(table.column(name)) for name in table.column_names}
    return [{name: columns[name][i] for name in columns} for i in range(table.num_rows)]


def parquet_leaves(path: str, kind: pa.DataType) -> list[tuple[str, pa.DataType]]:
    """Names that Parquet gives to a column's values, with their types."""
    if pa.types.is_struct(kind):
        return [leaf for field in kind for leaf in parquet_leaves(f"{path}.{field.name}", field.type)]
    if pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
        return parquet_leaves(f"{path}.list.element", kind.value_type)
    return [(path, kind)]


def parquet_layout(schema: pa.Schema) -> dict[str, Any]:
    """How columns are laid out in Parquet: arrays of floats by byte planes, the rest with a dictionary.

    A dictionary of floats is never used in the end, and looking for it costs more than all else: 180 ms against 12 for
    the landmarks of 30 s.
    """
    encoding: dict[str, str] = {}
    dictionary: list[str] = []
    for field in schema:
        for leaf, kind in parquet_leaves(field.name, field.type):
            if pa.types.is_nested(field.type) and pa.types.is_floating(kind):
                encoding[leaf] = "BYTE_STREAM_SPLIT"
            else:
                dictionary.append(leaf)
    return {"column_encoding": encoding, "use_dictionary": dictionary or False}
