"""Coefficient files by their suffix: `.mat`, `.npy`, `.parquet`, folders of them, and published datasets."""

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from chdtf.errors import UserError
from chdtf.morphable.exchange.bfm_coefficients import BfmCoefficients, Gaps
from chdtf.morphable.exchange.clips import AnyClip, BfmClip, FittedClip
from chdtf.morphable.exchange.fitted import is_dataset, is_fitted, read_dataset, read_fitted, to_bfm, write_fitted
from chdtf.morphable.exchange.mat import read_mat, write_mat
from chdtf.morphable.exchange.numpy_file import read_numpy, write_numpy
from chdtf.morphable.exchange.table import is_table, read_table, write_table

SUFFIXES = (".mat", ".npy", ".parquet")
NUMPY_KIND = "{}-d .npy"
_DEFAULT_LAYOUT = {".mat": "257", ".npy": "73"}


@dataclasses.dataclass(frozen=True)
class Source:
    """A file of coefficients, or a dataset's folder; `clip_id` is that of a file with one clip."""

    path: Path
    clip_id: str

    def clips(self, rounded: bool = False) -> Iterator[AnyClip]:
        """Its clips, one at a time: fits as such, all else of the Basel Face Model. Raises as `read_bfm` does."""
        suffix = self.path.suffix
        if self.path.is_dir():
            yield from read_dataset(self.path)
        elif not self.path.is_file():
            raise UserError(f"{self.path}: no such file")
        elif suffix == ".mat":
            coefficients, kind = read_mat(self.path, rounded)
            yield BfmClip(self.clip_id, coefficients, kind)
        elif suffix == ".npy":
            coefficients, layout = read_numpy(self.path, rounded)
            yield BfmClip(self.clip_id, coefficients, NUMPY_KIND.format(layout))
        elif suffix == ".parquet":
            yield from _read_parquet(self.path)
        else:
            raise UserError(f"{self.path}: {_unknown(self.path)}")


def sources(path: Path) -> list[Source]:
    """What a file or folder consists of: itself, or the coefficient files of a folder, at all depths.

    The id of a clip in a folder is the path of its file below that folder, without suffix. Raises `UserError` when a
    folder is no dataset and holds no such file.
    """
    if not path.is_dir() or is_dataset(path):
        return [Source(path, path.stem)]

    def refuse(error: OSError) -> None:
        raise UserError(f"{error.filename}: cannot be read ({error.strerror})") from error

    found = []
    for parent, folders, names in os.walk(path, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(parent) / name for name in names if Path(name).suffix in SUFFIXES and not name.startswith(".")]
    if not found:
        raise UserError(f"{path}: holds no coefficient files (looked for {', '.join(SUFFIXES)}) and is no dataset")
    return [Source(file, file.relative_to(path).with_suffix("").as_posix()) for file in sorted(found)]


def read_clips(path: Path, rounded: bool = False) -> Iterator[AnyClip]:
    """All clips of a file or folder, one at a time. Raises `UserError` as `read_bfm` does."""
    for source in sources(path):
        yield from source.clips(rounded)


def read_bfm(path: Path, rounded: bool = False) -> BfmCoefficients:
    """The coefficients in a file that holds one clip; those of a fit with bfm by the field's camera.

    Raises `UserError` for a file that is not one of coefficients, naming what it holds and what was expected, for one
    of several clips, and for a fit of another face model. `rounded` as in `BfmCoefficients.from_array`.
    """
    found = list(read_clips(path, rounded))
    if len(found) != 1:
        few = ", ".join(clip.clip_id for clip in found[:3])
        raise UserError(f"{path}: holds {len(found)} clips ({few}, ...), expected one")
    clip = found[0]
    return (to_bfm(clip) if isinstance(clip, FittedClip) else clip).coefficients


def write_bfm(path: Path, coefficients: BfmCoefficients, layout: str | None = None, gaps: Gaps = "refuse") -> None:
    """Write one clip, whole or not at all, its format by the suffix of `path`. See `write_clip`."""
    write_clip(path, BfmClip(path.stem, coefficients), layout, gaps)


def write_clip(path: Path, clip: AnyClip, layout: str | None = None, gaps: Gaps = "refuse") -> None:
    """Write one clip, whole or not at all. Layout: 257 by default in `.mat`, 73 in `.npy`; `.parquet` holds all parts.

    Raises `UserError` for another suffix, a layout that the format lacks, and as `BfmCoefficients.to_array` and, for
    a fit in `.mat` or `.npy`, `to_bfm` do.
    """
    if isinstance(clip, FittedClip):
        if path.suffix == ".parquet":
            check_no_layout(layout)
            write_fitted(path, [clip])
            return
        clip = to_bfm(clip)
    chosen = layout or _DEFAULT_LAYOUT.get(path.suffix, "")
    if path.suffix == ".mat":
        write_mat(path, clip.coefficients, chosen, gaps)
    elif path.suffix == ".npy":
        write_numpy(path, clip.coefficients, chosen, gaps)
    elif path.suffix == ".parquet":
        check_no_layout(layout)
        write_table(path, [clip])
    else:
        raise UserError(f"{path}: {_unknown(path)}")


def check_no_layout(layout: str | None) -> None:
    """Raise `UserError` when a layout is asked for in Parquet, which holds all parts in columns of their own."""
    if layout is not None:
        raise UserError(f"a .parquet table holds all parts; leave --layout {layout} out, or write .npy or .mat")


def _read_parquet(path: Path) -> Iterator[AnyClip]:
    try:
        schema = pq.read_schema(path)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UserError(f"{path}: not a Parquet file ({(str(error).splitlines() or ['?'])[0]})") from error
    if is_table(schema):
        yield from read_table(path)
    elif is_fitted(schema):
        yield from read_fitted([path])
    else:
        raise UserError(
            f"{path}: columns {', '.join(schema.names[:12])} are not those of coefficients; expected a table that "
            "coeffs convert wrote (clip_id, valid, expression, angle, ...), or fitted coefficients of a "
            "dataset or of coeffs fit (clip_id, face_model, expression, rotation, ...)"
        )


def _unknown(path: Path) -> str:
    return f"suffix {path.suffix!r} is not one of {', '.join(SUFFIXES)}"
