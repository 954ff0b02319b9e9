"""Clip: one ready row of a published dataset. What is large is read when it is asked for, and only that."""

import dataclasses
import functools
import io
import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from chdtf.columns import Row, rows_from_table
from chdtf.errors import UserError
from chdtf.files import atomic_path
from chdtf.media import encode_audio, read_frames, read_waveform
from chdtf.morphable.coefficients import Coefficients, from_row
from chdtf.schema import COEFFS, NUM_LANDMARKS, SMOOTH, SPLITS, check_version

DESCRIPTION = "dataset.json"
CONFIGS = ("meta", "coeffs", "video")
_UNREADABLE = (pa.ArrowException, OSError, KeyError, UnicodeDecodeError)


def rebuild_command(root: Path) -> str:
    """How to make a dataset folder again; an unchanged manifest finds its downloads gone with the folder."""
    return f"{shlex.join(['rm', '-r', str(root)])} && make chdtf MANIFEST=... OUT={shlex.quote(str(root))}"


def read_description(root: Path, rebuild: str | None = None) -> dict[str, Any] | None:
    """`dataset.json` of a published folder, or None where there is none.

    Raises `UserError` when it is corrupt or of another schema version; `rebuild` is the command that mends it.
    """
    path = root / DESCRIPTION
    rebuild = rebuild or rebuild_command(root)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        version = found["schema_version"]
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, KeyError, TypeError, OSError) as error:
        mend = "delete it and build the dataset again, which keeps what was done"
        raise UserError(f"{path}: not the description of a dataset ({error!r}); {mend}") from error
    check_version(version, root, rebuild)
    return dict(found)


@dataclasses.dataclass(frozen=True)
class _Place:
    """Where a clip lies: row `row` of file `name` in each of the three folders of `root`."""

    root: Path
    name: str
    row: int

    def read(self, config: str, columns: list[str]) -> Row:
        """Columns of this row, checked to be those of one clip."""
        path = self.root / config / self.name
        with _reading(path), pq.ParquetFile(path, page_checksum_verification=True) as file:
            first = 0
            for group in range(file.num_row_groups):
                count = file.metadata.row_group(group).num_rows
                if self.row < first + count:
                    table = file.read_row_group(group, columns)
                    return rows_from_table(table.slice(self.row - first, 1))[0]
                first += count
        raise UserError(f"{path}: has {first} rows, row {self.row} is missing; rebuild: {rebuild_command(self.root)}")


@dataclasses.dataclass(frozen=True)
class Clip:
    """One clip of a published dataset: T frames of 256x256 at `fps`, S samples at `sample_rate_hz`, S = 640 T.

    Every method that reads raises `UserError` when the file is missing or corrupt.
    """

    clip_id: str
    video_id: str
    speaker_id: str
    language: str
    license: str
    split: str
    fps: int
    sample_rate_hz: int
    num_frames: int
    _place: _Place = dataclasses.field(repr=False)

    def scores(self) -> Row:
        """All columns of the clip's row in `meta`."""
        return self._place.read("meta", self._names("meta"))

    def video_bytes(self) -> bytes:
        """The clip as mp4: H.264 and AAC."""
        return self._blob("video")

    def audio_bytes(self) -> bytes:
        """The clip's sound as FLAC, without loss."""
        return self._blob("audio")

    def frames(self) -> np.ndarray:
        """uint8 (T, 256, 256, 3) RGB."""
        return read_frames(io.BytesIO(self.video_bytes()), self.fps)

    def waveform(self) -> np.ndarray:
        """float32 (S,) in [-1, 1]."""
        waveform = read_waveform(io.BytesIO(self.audio_bytes()), self.sample_rate_hz)
        assert waveform is not None
        return waveform

    def landmarks(self) -> np.ndarray:
        """float32 (T, 478, 3) px of the 256 px frame; NaN where no face was found."""
        row = self._place.read("coeffs", ["clip_id", "landmarks"])
        found: np.ndarray = self._own(row)["landmarks"].reshape(-1, NUM_LANDMARKS, 3)
        return found

    def coefficients(self, smooth: bool = False) -> Coefficients:
        """Identity, expression and pose, with the mask of valid frames.

        With `smooth` expression and pose as the stage `fit` smoothed them (its option `smooth_s`).
        """
        if smooth and SMOOTH["expression"] not in self._names("coeffs"):
            raise UserError(
                f"{self._place.root}: its coefficients are not smoothed; build it with --set fit.smooth_s=0.1"
            )
        names = ["clip_id", *COEFFS.names, *(SMOOTH.values() if smooth else ())]
        row = self._own(self._place.read("coeffs", names))
        return from_row({**row, **{name: row[smoothed] for name, smoothed in SMOOTH.items() if smooth}})

    def write_video(self, path: Path) -> None:
        """Write the clip as mp4."""
        with atomic_path(path) as temporary:
            temporary.write_bytes(self.video_bytes())

    def write_audio(self, path: Path) -> None:
        """Write the sound as 16-bit WAV."""
        with atomic_path(path) as temporary:
            temporary.write_bytes(encode_audio(self.waveform(), self.sample_rate_hz, codec="wav"))

    def _names(self, config: str) -> list[str]:
        path = self._place.root / config / self._place.name
        with _reading(path):
            return list(pq.read_schema(path).names)

    def _blob(self, column: str) -> bytes:
        found = self._own(self._place.read("video", ["clip_id", column]))[column]
        return bytes(found["bytes"])

    def _own(self, row: Row) -> Row:
        if row["clip_id"] != self.clip_id:
            where = f"{self._place.root}: {self._place.name}"
            raise UserError(
                f"{where}, row {self._place.row}: holds clip {row['clip_id']}, not {self.clip_id}; "
                f"rebuild it with: {rebuild_command(self._place.root)}"
            )
        return row


class _reading:  # noqa: N801 - reads as a verb
    """Context in which a file that cannot be read is the user's to mend."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, _UNREADABLE):
            why = (str(error).splitlines() or [type(error).__name__])[0]
            rebuild = rebuild_command(self._path.parent.parent)
            raise UserError(f"{self._path}: not readable ({why}); rebuild it with: {rebuild}") from error


_NAMES = [field.name for field in dataclasses.fields(Clip) if not field.name.startswith("_")]


@functools.lru_cache(maxsize=64)
def _clips_of(root: Path, name: str, size: int, modified_ns: int) -> tuple[Clip, ...]:
    path = root / "meta" / name
    with _reading(path):
        rows = pq.read_table(path, columns=_NAMES, page_checksum_verification=True).to_pylist()
    return tuple(Clip(**row, _place=_Place(root, name, number)) for number, row in enumerate(rows))


def read_clips(root: Path, split: str | None = None) -> list[Clip]:
    """Clips of a published dataset in their order, of one split or of all (train, val, test).

    Only the columns that `Clip` holds are read. Raises `UserError` when `root` holds no dataset, one of another schema
    version or a corrupt one, or when `split` is not known.
    """
    root = Path(root).absolute()
    if split is not None and split not in SPLITS:
        raise UserError(f"split {split!r} is not known; choose one of {', '.join(SPLITS)}")
    description = read_description(root)
    if description is None:
        raise UserError(f"{root}: holds no dataset; build one with: make chdtf OUT={shlex.quote(str(root))}")
    clips: list[Clip] = []
    for wanted in SPLITS if split is None else (split,):
        for name in sorted(file for file in description["rows"] if file.startswith(f"meta/{wanted}-")):
            path = root / name
            with _reading(path):
                status = path.stat()
            clips += _clips_of(root, path.name, status.st_size, status.st_mtime_ns)
    return clips


def face_model_of(clips: Sequence[Clip]) -> tuple[str, str]:
    """Name and hash of the face model that all of these clips are fitted with.

    Raises `UserError` when there are two, naming both and a clip of each: their coefficients mean different things.
    """
    first: tuple[tuple[str, str], str] | None = None
    for folder, name in sorted({(clip._place.root, clip._place.name) for clip in clips}):
        path = folder / "coeffs" / name
        with _reading(path):
            table = pq.read_table(path, columns=["clip_id", "face_model", "face_model_hash"]).to_pylist()
        for row in table:
            found = (row["face_model"], row["face_model_hash"])
            where = f"{row['clip_id']} of {folder.name}"
            first = first or (found, where)
            if found != first[0]:
                raise UserError(
                    f"two face models are mixed: {first[0][0]} {first[0][1][:12]} ({first[1]}) and {found[0]} "
                    f"{found[1][:12]} ({where}); build all data with the same: --set fit.face_model={first[0][0]}"
                )
    if first is None:
        raise UserError("no clips, so no face model; build a dataset with: make chdtf")
    return first[0]
