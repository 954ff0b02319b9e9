"""Contact sheets: a few small frames of a bounded number of clips, always the same ones."""

import base64
import dataclasses
import glob
import hashlib
import io
import itertools
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import quote, urlsplit

import av
import cv2
import numpy as np
import pyarrow as pa

from chdtf import media
from chdtf.clip import read_clips
from chdtf.columns import Row, rows_from_table
from chdtf.errors import Reject, UserError
from chdtf.schema import FPS
from pipelines.publication.report.data import Report

log = logging.getLogger(__name__)

MOST = 24  # clips on a sheet
SIDE_PX = 112  # height of a small frame
_AT = (0.15, 0.5, 0.85)  # where in the clip
_QUALITY = 70  # of JPEG; some 8 KB a strip
_LONGEST_STRIP_PX = 600


@dataclasses.dataclass(frozen=True)
class Shot:
    """One clip on a sheet."""

    clip_id: str
    speaker_id: str
    language: str
    seconds: float | None
    is_failed: bool  # the next run tries it again
    reason: str  # "" for accepted clips
    detail: str
    picture: str  # data: URI of a JPEG of three frames, or "" when there is none
    media: str  # relative link to the clip's file below work/, or ""
    source: str  # http(s) address, relative link to a file below work/, or ""
    title: str
    uploader: str


def accepted_shots(report: Report) -> list[Shot]:
    """A sample of accepted clips: as many speakers as fit, by a hash of the clip's id."""
    chosen = _sample(report.accepted, "speaker_id")
    names = {row["clip_id"] for row in chosen}
    try:
        clips = {clip.clip_id: clip for clip in read_clips(report.root) if clip.clip_id in names}
    except UserError as error:
        log.warning("no pictures of accepted clips: %s", error)
        clips = {}
    shots = []
    for row in chosen:
        clip = clips.get(row["clip_id"])
        picture = _strip(clip.video_bytes, row["num_frames"] / FPS) if clip else ""
        files = _file_of(report, "resample", row["clip_id"]), _file_of(report, "download", row["video_id"])
        shots.append(_shot(row, picture, *files))
    return shots


def refused_shots(report: Report) -> list[Shot]:
    """A sample of refused clips, as many reasons as fit; with pictures of those that got so far as to have some."""
    shots = []
    for row in _sample(report.refused, "reason"):
        clip, source = _inside(report.root, row.get("video_path")), _inside(report.root, row.get("source_path"))
        start_s, end_s = row.get("clip_start_s") or 0.0, row.get("clip_end_s") or row.get("source_duration_s") or 0.0
        picture = ""
        if clip:
            picture = _strip(clip.read_bytes, (row.get("num_frames") or FPS) / FPS)
        elif source and end_s > start_s:
            picture = _source_strip(source, start_s, end_s)
        link = _relative(report.root, source) + (f"#t={start_s:.2f},{end_s:.2f}" if source and end_s else "")
        shots.append(_shot(row, picture, _relative(report.root, clip), link))
    return shots


def _shot(row: Row, picture: str, clip: str, source: str) -> Shot:
    frames = row.get("num_frames")
    start_s, end_s = row.get("clip_start_s"), row.get("clip_end_s")
    cut_s = end_s - start_s if start_s is not None and end_s is not None else None
    return Shot(
        clip_id=row["clip_id"],
        speaker_id=row.get("speaker_id") or "",
        language=row.get("language") or "",
        seconds=frames / FPS if frames else cut_s,
        is_failed=row.get("kind") == "failed",
        reason=row.get("reason") or "",
        detail=row.get("detail") or "",
        picture=picture,
        media=clip,
        source=web_link(row.get("url")) or source,
        title=row.get("title") or "",
        uploader=row.get("uploader") or "",
    )


def web_link(url: str | None) -> str:
    """The address when a page may link to it: http or https with a host; else ""."""
    try:
        parts = urlsplit(url or "")
    except ValueError:
        return ""
    return (url or "") if parts.scheme in ("http", "https") and parts.hostname else ""


def _sample(rows: pa.Table, by: str) -> list[Row]:
    """At most `MOST` rows in an order that their ids decide: one of each value of `by` first, then a second, ..."""
    names, values = rows["clip_id"].to_pylist(), [value or "" for value in rows[by].to_pylist()]
    digests = (hashlib.sha256(name.encode()).digest() for name in names)
    shuffled = sorted(zip(digests, values, range(len(names)), strict=True))
    turns: dict[str, int] = {}
    ranked = []
    for place, (_, value, number) in enumerate(shuffled):
        turns[value] = turns.get(value, -1) + 1
        ranked.append((turns[value], place, number))
    chosen = [number for _, _, number in sorted(ranked)[:MOST]]
    return [row for number in chosen for row in rows_from_table(rows.slice(number, 1))]


def _file_of(report: Report, stage_name: str, name: str) -> str:
    """Link to the file that a stage made for a clip or video, named as `Workspace.file` does; "" when it is gone."""
    for stage in report.description["stages"]:
        if stage["name"] == stage_name and "fingerprint" in stage:
            folder = report.root / "work" / "media" / stage_name
            pattern = glob.escape(f"{name}.{stage['fingerprint'][:8]}") + ".*"
            # the clip's sound lies beside its picture
            found = sorted(path for path in folder.glob(pattern) if path.suffix != ".flac")
            return _relative(report.root, _inside(report.root, str(found[0]))) if found else ""
    return ""


def _inside(root: Path, name: str | None) -> Path | None:
    """The file of that name when it is one and lies in the folder."""
    path = (root / name) if name else None
    if path is None or not path.is_file() or not path.resolve().is_relative_to(root.resolve()):
        return None
    return path


def _relative(root: Path, path: Path | None) -> str:
    return "" if path is None else quote(path.relative_to(root).as_posix())


def _strip(read: Callable[[], bytes], seconds: float) -> str:
    """Three frames of a clip side by side, as a data: URI; "" when the file cannot be decoded."""
    try:
        data = read()
        pictures = []
        for share in _AT:
            found = media.frames(io.BytesIO(data), FPS, start_s=share * seconds, end_s=share * seconds + 1 / FPS)
            pictures += [_small(image) for image in itertools.islice(found, 1)]
    except (Reject, UserError, OSError) as error:
        log.warning("no picture: %s", error)
        return ""
    return _encoded(pictures)


def _source_strip(path: Path, start_s: float, end_s: float) -> str:
    """Three keyframes of a source, at or before the wanted times: to decode up to those would take long."""
    pictures = []
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            stream.codec_context.skip_frame = "NONKEY"
            origin = stream.start_time or 0
            for share in _AT:
                time_s = start_s + share * (end_s - start_s)
                container.seek(origin + int(time_s / (stream.time_base or 1)), stream=stream)
                for frame in itertools.islice(container.decode(stream), 1):
                    turns = round(getattr(frame, "rotation", 0) / 90) % 4
                    pictures.append(_small(np.rot90(frame.to_ndarray(format="rgb24"), turns)))
    except (av.error.FFmpegError, OSError, ValueError, IndexError) as error:
        log.warning("no picture: %s: %s", path, error)
    return _encoded(pictures)


def _small(image: np.ndarray) -> np.ndarray:
    """uint8 (H, W, 3) -> (SIDE_PX, W', 3) of the same shape."""
    height, width = image.shape[:2]
    size = (max(1, round(width * SIDE_PX / height)), SIDE_PX)
    return np.asarray(cv2.resize(np.ascontiguousarray(image), size, interpolation=cv2.INTER_AREA))


def _encoded(pictures: Sequence[np.ndarray]) -> str:
    while pictures and sum(picture.shape[1] for picture in pictures) > _LONGEST_STRIP_PX and len(pictures) > 1:
        pictures = pictures[:-1]
    if not pictures:
        return ""
    strip = np.concatenate(pictures, axis=1)[:, :_LONGEST_STRIP_PX, ::-1]
    _, data = cv2.imencode(".jpg", np.ascontiguousarray(strip), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()
