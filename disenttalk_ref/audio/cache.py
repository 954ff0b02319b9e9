"""Features of every clip of a published dataset, kept beside it: `<dataset>/features/<key>/train-00000.parquet`.

A file holds the clips of the dataset's own file of that name, in its order, one row group a clip: `clip_id`,
`audio_sha256`, `num_frames`, and the features as float16, row after row. The key names the extractor and a hash of its
settings and weights (`disenttalk_ref.audio.key`). A file's metadata keeps a fingerprint of what it was made from; it is
stale when the dataset has other clips or other sound, and then its unchanged clips are taken over.
"""

import contextlib
import fcntl
import functools
import hashlib
import json
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from chdtf.clip import Clip, read_clips, read_description, rebuild_command
from chdtf.errors import DiskFullError, UserError, is_disk_full
from chdtf.files import atomic_path
from disenttalk_ref.audio.features import Features, key

FOLDER = "features"
VERSION = 1  # of the layout; raised whenever the same settings would give other numbers
SCHEMA = pa.schema(
    [
        ("clip_id", pa.string()),
        ("audio_sha256", pa.string()),
        ("num_frames", pa.int32()),
        ("features", pa.list_(pa.float16())),  # (num_frames x width), row after row
    ]
)
_ABOUT = ["clip_id", "audio_sha256", "num_frames"]
_UNREADABLE = (pa.ArrowException, OSError, UnicodeDecodeError, KeyError, ValueError)

Progress = Callable[[int, int, str], None]  # (clips done, clips in all, clip)


@dataclass(frozen=True)
class Written:
    """What `write` did with the clips of one dataset."""

    folder: Path
    computed: int
    kept: int  # of the same sound, from earlier runs


def command(root: Path, features: Features) -> str:
    """What makes the cache."""
    return f"disentbench features --data {shlex.quote(str(root))} --audio {shlex.quote(features.name)}"


def write(root: Path, features: Features, device: str = "cpu", progress: Progress | None = None) -> Written:
    """Compute the features of all clips of a published dataset that are not there yet.

    Every file is written whole or not at all: a run that was killed goes on with the file that it was at. Files of
    clips that the dataset no longer has are deleted.

    Raises `UserError` when there is no dataset, the extractor lacks something, a clip's sound is NaN or its features
    do not fit float16; `DiskFullError`.
    """
    root = Path(root)
    folder = root / FOLDER / key(features)
    shards, clips = _shards(root), {clip.clip_id: clip for clip in read_clips(root)}
    with _alone(folder):
        computed = _write_all(folder, features, shards, clips, device, progress)
    return Written(folder, computed, len(clips) - computed)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder against other processes that would write to it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(f"{folder}: another run is writing these features; wait for it") from error
        yield


def _write_all(
    folder: Path,
    features: Features,
    shards: Mapping[str, list[dict[str, Any]]],
    clips: Mapping[str, Clip],
    device: str,
    progress: Progress | None,
) -> int:
    """Write the files that are missing or stale; returns how many clips were computed."""
    total, done, computed = len(clips), 0, 0
    for name, about in shards.items():
        fingerprint = _fingerprint(features, about)
        if _fingerprint_of(folder / name) != fingerprint:
            known = _known(folder)
            missing = [row for row in about if row["audio_sha256"] not in known]
            made = _rows(features, about, known, clips, device, functools.partial(_report, progress, total, done))
            _write_file(folder / name, made, fingerprint)
            computed += len(missing)
        done += len(about)
        _report(progress, total, done, 0, name)
    for old in set(folder.glob("*.parquet")) - {folder / name for name in shards}:
        old.unlink()
    return computed


def cached(root: Path, features: Features) -> "CachedFeatures":
    """The features of all clips of a dataset by clip id, read when they are asked for.

    Raises `UserError` naming the command when they were not computed, or the dataset's sound has changed since.
    """
    root = Path(root)
    shards, folder = _shards(root), root / FOLDER / key(features)
    places: dict[str, tuple[str, int]] = {}
    for name, about in shards.items():
        found = _fingerprint_of(folder / name)
        if found != _fingerprint(features, about):
            why = "not computed" if found is None else "of other clips or other sound than the dataset's now"
            raise UserError(f"{folder / name}: features are {why}; make them: {command(root, features)}")
        places |= {row["clip_id"]: (name, number) for number, row in enumerate(about)}
    return CachedFeatures(folder, features.width, places, command(root, features))


class CachedFeatures(Mapping[str, np.ndarray]):
    """Features by clip id, float32 (T, width); each is read when it is asked for.

    Can be sent to other processes, and asked by several threads at once.
    """

    def __init__(self, folder: Path, width: int, places: Mapping[str, tuple[str, int]], command: str) -> None:
        self.folder, self.width = folder, width
        self._places, self._command = places, command
        self._footers: dict[str, pq.FileMetaData] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_footers": {}}

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, clip_id: str) -> np.ndarray:
        """Raises `KeyError` for a clip that the dataset lacks, `UserError` when the file is corrupt."""
        name, number = self._places[clip_id]
        path = self.folder / name
        try:
            # opened for each clip: an open file serves one thread only, and there may be more files than may be open
            with pq.ParquetFile(path, metadata=self._footers.get(name), page_checksum_verification=True) as file:
                self._footers[name] = file.metadata
                row = file.read_row_group(number, ["clip_id", "num_frames", "features"])
            if row.column("clip_id")[0].as_py() != clip_id:
                raise ValueError(f"row {number} is another clip than {clip_id}")
            values = row.column("features")[0].values.to_numpy(zero_copy_only=False)
            found: np.ndarray = values.astype(np.float32).reshape(row.column("num_frames")[0].as_py(), self.width)
        except _UNREADABLE as error:
            why = (str(error).splitlines() or [type(error).__name__])[0]
            raise UserError(f"{path}: not readable ({why}); rm it and run: {self._command}") from error
        return found


def _report(progress: Progress | None, total: int, before: int, done: int, what: str) -> None:
    if progress:
        progress(before + done, total, what)


def _shards(root: Path) -> dict[str, list[dict[str, Any]]]:
    """Clips of each published file: id, hash of the sound, number of frames."""
    description = read_description(root)
    if description is None:
        raise UserError(f"{root}: holds no dataset; build one with: make chdtf OUT={shlex.quote(str(root))}")
    found = {}
    for name in sorted(name for name in description["rows"] if name.startswith("meta/")):
        try:
            found[Path(name).name] = pq.read_table(root / name, columns=_ABOUT).to_pylist()
        except _UNREADABLE as error:
            why = (str(error).splitlines() or [type(error).__name__])[0]
            raise UserError(f"{root / name}: not readable ({why}); rebuild it with: {rebuild_command(root)}") from error
    return found


def _fingerprint(features: Features, about: list[dict[str, Any]]) -> str:
    """Hash of what a file is made from: the extractor, and the clips with their sound."""
    clips = [[row[name] for name in _ABOUT] for row in about]
    return hashlib.sha256(json.dumps([VERSION, key(features), clips]).encode()).hexdigest()


def _fingerprint_of(path: Path) -> str | None:
    """What a file was made from; None where there is none that can be read."""
    try:
        found = (pq.read_schema(path).metadata or {}).get(b"fingerprint")
    except _UNREADABLE:
        return None
    return found.decode() if found else None


def _known(folder: Path) -> dict[str, tuple[Path, int]]:
    """Files and rows of what is there, by hash of the sound."""
    known: dict[str, tuple[Path, int]] = {}
    for path in sorted(folder.glob("*.parquet")):
        try:
            hashes = pq.read_table(path, columns=["audio_sha256"]).column(0).to_pylist()
            groups = pq.read_metadata(path).num_row_groups
        except _UNREADABLE:
            continue
        if groups == len(hashes):  # else written anew by something else, such as a filter
            known |= {sound: (path, number) for number, sound in enumerate(hashes)}
    return known


def _rows(
    features: Features,
    about: list[dict[str, Any]],
    known: Mapping[str, tuple[Path, int]],
    clips: Mapping[str, Clip],
    device: str,
    report: Callable[[int, str], None],
) -> Iterator[dict[str, Any]]:
    """Rows of one file, taken over or computed."""
    for number, row in enumerate(about):
        report(number, row["clip_id"])
        if place := known.get(row["audio_sha256"]):
            path, group = place
            values = pq.ParquetFile(path).read_row_group(group, ["features"]).column(0)[0].values
            yield {**row, "features": values.to_numpy(zero_copy_only=False)}
        else:
            yield {**row, "features": _compute(features, clips[row["clip_id"]], device)}


def _compute(features: Features, clip: Clip, device: str) -> np.ndarray:
    """float16 (T x width,)."""
    try:
        rows = features.extract(clip.waveform(), device)
    except UserError as error:
        raise UserError(f"clip {clip.clip_id}: {error}") from error
    if len(rows) != clip.num_frames:
        raise UserError(
            f"clip {clip.clip_id}: {len(rows)} frames of sound, {clip.num_frames} of picture; build the dataset again"
        )
    limit = float(np.finfo(np.float16).max)
    if rows.size and not np.abs(rows).max() <= limit:
        raise UserError(f"clip {clip.clip_id}: features beyond {limit:.0f}, what is kept of them; take another layer")
    return rows.astype(np.float16).reshape(-1)


def _write_file(path: Path, rows: Iterator[dict[str, Any]], fingerprint: str) -> None:
    schema = SCHEMA.with_metadata({"fingerprint": fingerprint, "version": str(VERSION)})
    try:
        with (
            atomic_path(path) as temporary,
            pq.ParquetWriter(temporary, schema, compression="zstd", write_page_checksum=True) as writer,
        ):
            for row in rows:
                flat = pa.array(row.pop("features"), type=pa.float16())
                values = pa.ListArray.from_arrays(pa.array([0, len(flat)], pa.int32()), flat)
                arrays = [pa.array([row[name]], SCHEMA.field(name).type) for name in _ABOUT]
                writer.write_table(pa.Table.from_arrays([*arrays, values], schema=schema))
    except OSError as error:
        if is_disk_full(error):
            raise DiskFullError(path) from error
        raise
