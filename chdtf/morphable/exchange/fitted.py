"""Fitted coefficients of published datasets, and of shards of their `coeffs`, in the form of the field's files."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from chdtf.clip import read_description
from chdtf.columns import Row, rows_from_table
from chdtf.errors import UserError
from chdtf.morphable.coefficients import from_row
from chdtf.morphable.exchange.camera import bfm_from_fit
from chdtf.morphable.exchange.clips import BfmClip
from chdtf.morphable.model import FaceModel, load_model
from chdtf.schema import COEFFS, FPS

KIND = "fitted coefficients"
_COLUMNS = ["clip_id", *(name for name in COEFFS.names if name != "fit_error_px")]
_UNREADABLE = (pa.ArrowException, OSError, KeyError, ValueError)


def is_fitted(schema: pa.Schema) -> bool:
    """Whether a Parquet file holds fitted coefficients, by its columns."""
    return set(_COLUMNS) <= set(schema.names)


def is_dataset(folder: Path) -> bool:
    """Whether a folder is a published dataset. Raises `UserError` when it is one that cannot be read."""
    return read_description(folder) is not None


def read_dataset(root: Path) -> Iterator[BfmClip]:
    """The clips of a published dataset that was fitted with the Basel Face Model.

    Raises `UserError` when it was fitted with another, is mixed, or the model's file is not here or another one.
    """
    description = read_description(root)
    assert description is not None
    names = sorted(name for name in description["rows"] if name.startswith("coeffs/"))
    yield from read_fitted([root / name for name in names])


def read_fitted(paths: list[Path]) -> Iterator[BfmClip]:
    """The clips of some files with the columns of `chdtf.schema.COEFFS`. Raises as `read_dataset` does."""
    first: tuple[str, str, str] | None = None
    for path in paths:
        for row in _rows(path):
            if row["face_model"] is None:  # a row that another stage or a reject ended
                continue
            found = (str(row["clip_id"]), str(row["face_model"]), str(row["face_model_hash"]))
            first = first or found
            if found[1:] != first[1:]:
                raise UserError(
                    f"{path}: two face models are mixed: {first[1]} {first[2][:12]} (clip {first[0]}) and "
                    f"{found[1]} {found[2][:12]} (clip {found[0]}); build all data with the same"
                )
            yield _clip(path, row, _model(path, row))


def _rows(path: Path) -> Iterator[Row]:
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            for group in range(file.num_row_groups):
                table = file.read_row_group(group, _COLUMNS)
                for number in range(table.num_rows):
                    yield rows_from_table(table.slice(number, 1))[0]
    except _UNREADABLE as error:
        raise UserError(f"{path}: not readable ({(str(error).splitlines() or ['?'])[0]})") from error


def _model(path: Path, row: Row) -> FaceModel:
    name = row["face_model"]
    if name != "bfm":
        raise UserError(
            f"{path}: clip {row['clip_id']} is fitted with face model {name}; the field's files hold those of the "
            "Basel Face Model, which do not follow from it: fit it again with face_model=bfm "
            "(disentbench build --set fit.face_model=bfm)"
        )
    return load_model(name)


def _clip(path: Path, row: Row, model: FaceModel) -> BfmClip:
    try:
        found = bfm_from_fit(from_row(row, model), model)
    except (ValueError, TypeError) as error:
        raise UserError(f"{path}: clip {row['clip_id']}: {error}") from error
    return BfmClip(
        clip_id=row["clip_id"],
        coefficients=found,
        kind=KIND,
        fps=float(FPS),
        face_model_hash=row["face_model_hash"],
        fitter=row["fitter"],
        fitter_version=row["fitter_version"],
    )
