"""VoxCeleb2's tracks (www.robots.ox.ac.uk/~vgg/data/voxceleb) as a manifest: its txt files, or its mp4 clips.

Chung, Nagrani, Zisserman: VoxCeleb2: Deep Speaker Recognition, Interspeech 2018. Both archives hold
`idNNNNN/<YouTube id>/NNNNN.txt` or `.mp4`. A txt file is a header (Identity, Reference, Offset, FV Conf, ASD Conf) and
one line a frame: its number at 25 frames/s from the beginning of the source, and the face's x, y, width and height as
fractions of the frame. Reading follows AliaksandrSiarohin/video-preprocessing, crop_vox.py.
"""

import dataclasses
import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from chdtf.errors import UserError
from chdtf.folder import file_url
from chdtf.manifest_row import Crop, ManifestRow, shown
from chdtf.site_id import site_id_of_clip
from chdtf.youtube import YOUTUBE_ID, youtube_url
from pipelines.sources.importers import LEFT_OUT, NO_CROP, Account, Note, checked, clipped, printable

LICENSE = "CC-BY-4.0, as VoxCeleb states of its dataset"
FRAME_RATE = 25.0
MARGIN = 0.1  # of the box's width and height, added on each side, as in crop_vox.py (--increase)
MIN_IOU = 0.25  # of a frame's box with the first one; below, one box for the track would not hold a face (crop_vox.py)

_TRACK = re.compile(rf"(id[0-9]{{5}})/({YOUTUBE_ID})/([0-9]{{5}})\.(txt|mp4)")
_MAX_BYTES = 16 << 20  # a track of five hours


def from_voxceleb2(
    folder: Path,
    account: Account,
    manifest: Path | None = None,
    language: str = "und",
    split: str | None = None,
    margin: float = MARGIN,
) -> Iterator[ManifestRow]:
    """One row for every track below a folder: `idNNNNN/<YouTube id>/NNNNN` with suffix .txt, or .mp4.

    A txt file becomes the source's address, the track's interval, and as crop the union of its boxes with `margin`. An
    mp4 file becomes a `file:` row, relative when `manifest` lies above it; it is a crop already, in which the face is
    tracked. Ids are `idNNNNN_<YouTube id>_NNNNN`, so that a clip on disk still tells its source (`source_id`). With
    txt files and mp4 files below one folder, the latter win. Raises `UserError` when there are none of either.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder}: {'is a file, not a folder' if folder.exists() else 'no such folder'}")
    base = Path(manifest).parent if manifest is not None else None
    found = False
    for path, (person, video, number), is_clip in _tracks(folder, account):
        found = True
        name = path.relative_to(folder).as_posix()
        row = ManifestRow(
            video_id=f"{person}_{video}_{number}",
            url=file_url(path, base) if is_clip else youtube_url(video),
            speaker_id=person,
            language=language,
            license=LICENSE,
            split=split,
        )
        taken = row if is_clip else _with_track(row, path, name, account, margin)
        valid = taken and checked(taken, account, name, 0, row.video_id)
        if valid:
            yield valid
    if not found:
        raise UserError(f"{folder}: holds no tracks; looked for idNNNNN/<YouTube id>/NNNNN.txt and .mp4 at any depth")


def source_id(video_id: str) -> str | None:
    """`youtube:<id>` of the source that a row of VoxCeleb2 was cut from, by the row's id; None for other rows."""
    return site_id_of_clip(video_id)


def _tracks(folder: Path, account: Account) -> Iterator[tuple[Path, tuple[str, str, str], bool]]:
    """Tracks in the order of their paths; of one that is there as clip and as text, the clip."""

    def refuse(error: OSError) -> None:
        raise UserError(f"{error.filename}: cannot be read ({error.strerror})") from error

    taken: set[str] = set()
    clips: set[str] = set()
    for wanted in ("mp4", "txt"):
        for parent, folders, files in os.walk(folder, onerror=refuse):
            folders.sort()
            for file in sorted(files):
                path = Path(parent) / file
                match = _TRACK.fullmatch("/".join(path.parts[-3:]))
                if match is None or match[4] != wanted:
                    continue
                key = "_".join(match.groups()[:3])
                if wanted == "txt" and key in clips:
                    continue
                if key in taken:
                    name = printable(path.relative_to(folder).as_posix())
                    account.append(Note(name, 0, key, LEFT_OUT, "this track stands elsewhere below the folder too"))
                    continue
                taken.add(key)
                clips |= {key} if wanted == "mp4" else set()
                yield path, (match[1], match[2], match[3]), wanted == "mp4"


def _with_track(row: ManifestRow, path: Path, name: str, account: Account, margin: float) -> ManifestRow | None:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ValueError(f"is {path.stat().st_size} bytes long; a track has at most {_MAX_BYTES}")
        said, frames, boxes = read_track(path)
    except ValueError as error:
        account.append(Note(name, 0, row.video_id, LEFT_OUT, str(error)))
        return None
    video = row.url.rpartition("=")[2]
    for key, expected in (("Identity", row.speaker_id), ("Reference", video)):
        if said.get(key) != expected:
            problem = f"its {key} is {shown(said.get(key))}, its folder says {expected!r}"
            account.append(Note(name, 0, row.video_id, LEFT_OUT, problem))
            return None
    crop, reason = _crop(boxes, margin)
    if reason:
        account.append(Note(name, 0, row.video_id, NO_CROP, reason))
    start_s, end_s = float(frames[0]) / FRAME_RATE, (float(frames[-1]) + 1) / FRAME_RATE
    return dataclasses.replace(row, start_s=start_s, end_s=end_s, crop=crop)


def read_track(path: Path) -> tuple[dict[str, str], np.ndarray, np.ndarray]:
    """A track's header, frame numbers (T,) int64 rising, and boxes (T, 4) float64: x, y, width, height.

    Raises `ValueError` with one line for a file of another form.
    """
    head, _, body = path.read_bytes().partition(b"FRAME")
    header = {}
    for line in head.decode("utf-8", "replace").splitlines():
        key, _, value = line.partition(":")
        header[key.strip()] = " ".join(value.split()[:1])
    columns, _, rows = body.partition(b"\n")
    if columns.split() != [b"X", b"Y", b"W", b"H"]:
        raise ValueError("has no line of columns FRAME X Y W H")
    try:
        values = np.array(rows.split(), dtype=np.float64)
    except ValueError as error:
        raise ValueError(f"holds a value that is not a number ({printable(str(error))})") from None
    if not len(values) or len(values) % 5 or not np.isfinite(values).all():
        raise ValueError(f"{len(values)} values are not lines of five finite numbers")
    table = values.reshape(-1, 5)
    if (table[:, 0] % 1 != 0).any() or (np.diff(table[:, 0]) <= 0).any() or table[0, 0] < 0:
        raise ValueError("its frame numbers are not whole numbers that rise")
    return header, table[:, 0].astype(np.int64), table[:, 1:]


def _crop(boxes: np.ndarray, margin: float) -> tuple[Crop | None, str | None]:
    """The union of the boxes, widened by `margin` of its size on each side, within the frame; or why there is none."""
    if boxes.max() > 2:
        return None, f"box {boxes[0].tolist()} is not in fractions of the frame (VoxCeleb1's are pixels)"
    if (boxes[:, 2:] <= 0).any():
        return None, "a box has no area"
    corners = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)  # (T, 4) x0, y0, x1, y1
    smallest = _iou(corners, corners[0]).min()
    if smallest < MIN_IOU:
        return None, f"the face moves: IoU with its first box falls to {smallest:.2f}, under {MIN_IOU}"
    low, high = corners[:, :2].min(axis=0), corners[:, 2:].max(axis=0)
    low, high = low - margin * (high - low), high + margin * (high - low)
    x0, y0, x1, y1 = (round(float(value), 6) for value in (*low, *high))
    return clipped((x0, y0, x1, y1)), None


def _iou(boxes: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes (T, 4) with one box (4,): (T,)."""
    size = np.clip(np.minimum(boxes[:, 2:], other[2:]) - np.maximum(boxes[:, :2], other[:2]), 0, None)
    shared = size.prod(axis=1)
    area = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    iou: np.ndarray = shared / (area + (other[2:] - other[:2]).prod() - shared)
    return iou
