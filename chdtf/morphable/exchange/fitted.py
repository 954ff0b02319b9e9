"""Fitted coefficients of any face model: datasets, shards of their `coeffs`, and what `coeffs fit` writes."""

import dataclasses
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from chdtf.clip import read_description
from chdtf.columns import Row, parquet_layout, rows_from_table, table_from_rows
from chdtf.errors import UserError
from chdtf.files import atomic_path
from chdtf.morphable.coefficients import Coefficients
from chdtf.morphable.exchange.camera import bfm_from_fit
from chdtf.morphable.exchange.clips import FACE_MODEL, BfmClip, FittedClip
from chdtf.morphable.model import FaceModel, load_model
from chdtf.schema import COEFFS, FPS, FRAME_SIZE_PX, SMOOTH, coeffs_schema

_ABOUT = ("face_model", "face_model_hash", "fitter", "fitter_version", "fit_error_px")
_ARRAYS = tuple(field.name for field in dataclasses.fields(Coefficients))
_NEEDED = ("clip_id", *(name for name in COEFFS.names if name != "fit_error_px"))
_OPTIONAL = ("num_frames", "fps", "fit_error_px", *SMOOTH.values())
_UNREADABLE = (pa.ArrowException, OSError, KeyError, ValueError)


def is_fitted(schema: pa.Schema) -> bool:
    """Whether a Parquet file holds fitted coefficients, by its columns."""
    return set(_NEEDED) <= set(schema.names)


def is_dataset(folder: Path) -> bool:
    """Whether a folder is a published dataset. Raises `UserError` when it is one that cannot be read."""
    return read_description(folder) is not None


def read_dataset(root: Path) -> Iterator[FittedClip]:
    """The clips of a published dataset. Raises `UserError` as `read_fitted` does."""
    description = read_description(root)
    assert description is not None
    names = sorted(name for name in description["rows"] if name.startswith("coeffs/"))
    yield from read_fitted([root / name for name in names])


def read_fitted(paths: Iterable[Path]) -> Iterator[FittedClip]:
    """The clips of some files with the columns of `chdtf.schema.COEFFS`, one at a time.

    Raises `UserError` for files that cannot be read, rows that do not fit, values that are not finite in valid frames,
    and when two face models are mixed, naming both.
    """
    same = _SameModel()
    for path in paths:
        for row in _rows(path):
            if row["face_model"] is not None:  # else a row that another stage or a reject ended
                found = _clip(path, row)
                same.check(path, found)
                yield found


def write_fitted(path: Path, clips: Iterable[FittedClip]) -> int:
    """Write clips with the columns of `chdtf.schema.COEFFS` and `fps`, value for value, whole or not at all.

    One row group each; the same clips give the same bytes. Returns their number. Raises `UserError` if two have the
    same id or another face model, only some are smoothed, or none is given.
    """
    seen: dict[str, bool] = {}
    writer, same = None, _SameModel()
    with atomic_path(path) as temporary:
        try:
            for clip in clips:
                if clip.clip_id in seen:
                    raise UserError(f"{path}: two clips are called {clip.clip_id!r}; rename one")
                same.check(path, clip)
                seen[clip.clip_id] = clip.smooth is not None
                if len(set(seen.values())) > 1:
                    first = next(iter(seen))
                    raise UserError(
                        f"{path}: only one of the clips {first} and {clip.clip_id} is smoothed; fit both alike"
                    )
                schema = _schema(clip)
                writer = writer or pq.ParquetWriter(temporary, schema, compression="zstd", **_layout(schema))
                writer.write_table(table_from_rows([_row(clip)], schema))
        finally:
            if writer is not None:
                writer.close()
        if not seen:
            raise UserError(f"{path}: there is no clip to write")
    return len(seen)


def coefficients_of(clip: FittedClip, model: FaceModel, smooth: bool = False) -> Coefficients:
    """A clip's coefficients for its face model, smoothed ones if wanted.

    Raises `UserError` when the clip was fitted with another model, or is not smoothed.
    """
    if (clip.face_model, clip.face_model_hash) != (model.name, model.hash):
        raise UserError(
            f"clip {clip.clip_id} was fitted with face model {clip.face_model} {clip.face_model_hash[:12]}, this one "
            f"is {model.name} {model.hash[:12]}; fit it again: disentbench coeffs fit"
        )
    found = clip.smooth if smooth else clip.coefficients
    if found is None:
        raise UserError(f"clip {clip.clip_id} is not smoothed; fit it with --smooth-s 0.16")
    if found.identity.size != np.prod(model.identity_shape):
        raise UserError(f"clip {clip.clip_id}: identity has {found.identity.size} values, not {model.identity_shape}")
    return found.replace(identity=found.identity.reshape(model.identity_shape))


def to_bfm(clip: FittedClip, size_px: tuple[int, int] | None = None) -> BfmClip:
    """A clip in the form of the field's files, by their camera.

    Args:
        clip: of the face model bfm, which must be here.
        size_px: (width, height) of its frames; those of a dataset, 256 each, when None.

    Raises:
        UserError: when it was fitted with another face model, bfm's file is not here or another one, or the face lies
            outside frames of that size.

    """
    if clip.face_model != FACE_MODEL:
        raise UserError(
            f"clip {clip.clip_id} is fitted with face model {clip.face_model}; .mat and .npy hold coefficients of the "
            "Basel Face Model, which do not follow from it: fit it again with bfm (disentbench coeffs fit --model bfm, "
            "or disentbench build --set fit.face_model=bfm), or write a .parquet"
        )
    width, height = size_px or (FRAME_SIZE_PX, FRAME_SIZE_PX)
    model = load_model(FACE_MODEL)
    coefficients = coefficients_of(clip, model)
    places = coefficients.translation[coefficients.valid, :2]
    outside = places[((places < 0) | (places > [width, height])).any(axis=1)]
    if len(outside):
        x, y = outside[0]
        raise UserError(
            f"clip {clip.clip_id}: its face lies at x {x:.0f}, y {y:.0f} px, outside frames of {width} x {height} px; "
            "say how large they are: --frame-size WIDTHxHEIGHT"
        )
    return BfmClip(
        clip_id=clip.clip_id,
        coefficients=bfm_from_fit(coefficients, model, (width, height)),
        kind=clip.kind,
        fps=clip.fps,
        face_model_hash=clip.face_model_hash,
        fitter=clip.fitter,
        fitter_version=clip.fitter_version,
    )


class _SameModel:
    """All clips that it sees are of one face model."""

    def __init__(self) -> None:
        self._first: FittedClip | None = None

    def check(self, path: Path, clip: FittedClip) -> None:
        """Raise `UserError` for a clip of another one, naming both."""
        first = self._first = self._first or clip
        if (clip.face_model, clip.face_model_hash) != (first.face_model, first.face_model_hash):
            raise UserError(
                f"{path}: two face models are mixed: {first.face_model} {first.face_model_hash[:12]} (clip "
                f"{first.clip_id}) and {clip.face_model} {clip.face_model_hash[:12]} (clip {clip.clip_id}); fit all "
                "with the same"
            )


def _rows(path: Path) -> Iterator[Row]:
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            names = [name for name in (*_NEEDED, *_OPTIONAL) if name in file.schema_arrow.names]
            for group in range(file.num_row_groups):
                table = file.read_row_group(group, names)
                for number in range(table.num_rows):
                    yield rows_from_table(table.slice(number, 1))[0]
    except _UNREADABLE as error:
        raise UserError(f"{path}: not readable ({(str(error).splitlines() or ['?'])[0]})") from error


def _clip(path: Path, row: Row) -> FittedClip:
    where = f"{path}: clip {row['clip_id']}"
    try:
        raw = Coefficients(**{name: np.asarray(row[name]) for name in _ARRAYS})
        smooth = None
        if row.get(SMOOTH["expression"]) is not None:
            smooth = raw.replace(**{name: np.asarray(row[column]) for name, column in SMOOTH.items()})
    except (ValueError, TypeError, IndexError, KeyError) as error:
        raise UserError(f"{where}: {error}") from error
    if not raw.num_frames or row.get("num_frames") not in (None, raw.num_frames):
        raise UserError(f"{where} holds coefficients of {raw.num_frames} frames, num_frames {row.get('num_frames')}")
    for found in filter(None, (raw, smooth)):
        _check_finite(where, found)
    about: dict[str, Any] = {name: row.get(name) for name in _ABOUT}
    return FittedClip(row["clip_id"], raw, float(row.get("fps") or FPS), **about, smooth=smooth)


def _check_finite(where: str, found: Coefficients) -> None:
    if not np.isfinite(found.identity).all():
        raise UserError(f"{where}: identity has values that are not finite; fit it again")
    for name in SMOOTH:
        bad = np.argwhere(~np.isfinite(getattr(found, name)) & found.valid.reshape(-1, *[1] * (name != "scale")))
        if len(bad):
            value = getattr(found, name)[tuple(bad[0])]
            raise UserError(f"{where}: {name} of frame {bad[0][0]}, which is valid, is {value}; fit it again")


def _schema(clip: FittedClip) -> pa.Schema:
    first = [("clip_id", pa.string()), ("num_frames", pa.int32()), ("fps", pa.float64())]
    return pa.schema([*first, *coeffs_schema(clip.coefficients.expression.shape[1], clip.smooth is not None)])


def _layout(schema: pa.Schema) -> dict[str, Any]:
    return {**parquet_layout(schema), "write_page_checksum": True}


def _row(clip: FittedClip) -> Row:
    row: Row = {name: getattr(clip, name) for name in ("clip_id", "fps", *_ABOUT)}
    row |= {"num_frames": clip.coefficients.num_frames}
    row |= {name: getattr(clip.coefficients, name) for name in _ARRAYS}
    if clip.smooth is not None:
        row |= {column: getattr(clip.smooth, name) for name, column in SMOOTH.items()}
    return row
