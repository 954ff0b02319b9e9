"""Draws the bundled sample: source videos whose mouth opening, blinks and audio offset are known.

It is the dataset of the offline default, and the instrument of the tests: what was put in must be measured back.
"""

import concurrent.futures
import dataclasses
import json
import logging
import math
import multiprocessing
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from chdtf.errors import DiskFullError, is_disk_full
from chdtf.files import sha256_file, write_text
from chdtf.manifest import ManifestRow, write_manifest
from chdtf.sample.plan import PLAN, PUBLIC_DOMAIN, SampleVideo
from chdtf.schema import FPS

log = logging.getLogger(__name__)

Progress = Callable[[int, int, str], None]  # done videos, all videos, what has just finished

CONVENTIONS = {
    "mouth_opening": "per frame of the source: inner-lip gap over outer eye corner distance (chdtf.faces.mouth_opening)"
    "; of the left face where there are two",
    "blinks": "seconds: lids begin to fall, are shut, begin to rise, are open",
    "audio_offset_frames": "frames of the source by which the sound comes after the lips; negative: before them",
    "expected": "accepted, or the reason of the reject",
}
_SOURCES = "sources"
_TRUTHS = "truths"


@dataclasses.dataclass(frozen=True)
class VideoTruth:
    """What was put into one video; `mouth_opening` is (T,) at `fps`."""

    video_id: str
    path: Path
    speaker_id: str
    language: str
    split: str
    fps: float
    num_frames: int
    num_faces: int
    expected: str
    audio_offset_frames: int
    blinks: tuple[dict[str, float], ...]
    mouth_opening: np.ndarray

    def opening_at(self, fps: float = FPS) -> np.ndarray:
        """Mouth opening (T',) in the frames that `chdtf.media.frames` shows at another rate."""
        count = math.ceil(self.num_frames / self.fps * fps - 1e-6)
        shown = np.floor(np.arange(count) * self.fps / fps + min(self.fps / fps, 0.5) + 1e-6).astype(int)
        opening: np.ndarray = self.mouth_opening[np.minimum(shown, self.num_frames - 1)]
        return opening


def manifest_rows(
    sources: str, plan: Sequence[SampleVideo] = PLAN, sha256: Mapping[str, str] | None = None
) -> list[ManifestRow]:
    """The sample's manifest; `sources` is the folder of the videos as seen from the manifest.

    `sha256` holds the hash of each file by video id: with it, a dataset notices when a video was drawn anew.
    """
    return [
        ManifestRow(
            video_id=video.video_id,
            url=f"file:{sources}/{video.video_id}.mp4",
            start_s=None,
            end_s=None,
            speaker_id=video.speaker_id,
            language=video.language,
            license=PUBLIC_DOMAIN,
            split=video.split,
            crop=None,
            sha256=(sha256 or {}).get(video.video_id),
        )
        for video in plan
    ]


def draw_sample(
    folder: Path, processes: int = 2, progress: Progress | None = None, plan: Sequence[SampleVideo] = PLAN
) -> Path:
    """Write `sources/*.mp4`, `truth.json` and `manifest.csv` below `folder`; returns the manifest's path.

    A video that is there already, whole and made from the same plan, speech and code, is kept; so a second call draws
    nothing, and one after an interruption draws the rest. Raises `DiskFullError`.
    """
    report = progress or (lambda done, total, name: None)
    missing = [video for video in plan if not _is_drawn(folder, video)]
    report(len(plan) - len(missing), len(plan), "")
    for number, name in enumerate(_draw_all(folder, missing, processes), len(plan) - len(missing) + 1):
        log.info("drew %s", name)
        report(number, len(plan), name)
    _remove_stale(folder, plan)
    notes = {video.video_id: json.loads(_truth_path(folder, video).read_text("utf-8")) for video in plan}
    _write_changed(folder / "truth.json", _truth_text({name: note["truth"] for name, note in notes.items()}))
    manifest = folder / "manifest.csv"
    write_manifest(manifest_rows(_SOURCES, plan, {name: note["sha256"] for name, note in notes.items()}), manifest)
    return manifest


def read_truth(folder: Path) -> dict[str, VideoTruth]:
    """The truth about every video below `folder`, by video id, as `draw_sample` left it."""
    table = json.loads((folder / "truth.json").read_text("utf-8"))["videos"]
    return {
        video_id: VideoTruth(
            video_id=video_id,
            path=folder / _SOURCES / f"{video_id}.mp4",
            blinks=tuple(entry["blinks"]),
            mouth_opening=np.array(entry["mouth_opening"], np.float64),
            **{name: entry[name] for name in _PLAIN},
        )
        for video_id, entry in table.items()
    }


_PLAIN = tuple(
    field.name
    for field in dataclasses.fields(VideoTruth)
    if field.name not in ("video_id", "path", "blinks", "mouth_opening")
)


def _video_path(folder: Path, video: SampleVideo) -> Path:
    return folder / _SOURCES / f"{video.video_id}.mp4"


def _truth_path(folder: Path, video: SampleVideo) -> Path:
    return folder / _TRUTHS / f"{video.video_id}.json"


def _truth_text(truths: dict[str, Any]) -> str:
    lines = ",\n".join(f"  {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in truths.items())
    head = json.dumps(CONVENTIONS, indent=1)
    return f'{{"version": 1,\n"conventions": {head},\n"videos": {{\n{lines}\n}}}}\n'


def _write_changed(path: Path, text: str) -> None:
    if not path.is_file() or path.read_text("utf-8") != text:
        write_text(path, text)


def _is_drawn(folder: Path, video: SampleVideo) -> bool:
    from chdtf.sample.draw import fingerprint

    path, note = _video_path(folder, video), _truth_path(folder, video)
    if not (path.is_file() and note.is_file()):
        return False
    try:
        entry = json.loads(note.read_text("utf-8"))
    except ValueError:
        return False
    return bool(entry.get("fingerprint") == fingerprint(video) and entry.get("sha256") == sha256_file(path))


def _remove_stale(folder: Path, plan: Sequence[SampleVideo]) -> None:
    """Remove what an older plan left."""
    planned = {path for video in plan for path in (_video_path(folder, video), _truth_path(folder, video))}
    for name in (_SOURCES, _TRUTHS):
        for path in (folder / name).iterdir():
            if path not in planned and path.suffix in (".mp4", ".json") and not path.name.startswith("."):
                path.unlink()


def _draw_one(folder: Path, video: SampleVideo) -> str:
    from chdtf.sample.draw import draw_video, fingerprint

    path = _video_path(folder, video)
    try:
        truth = draw_video(video, path)
        entry = {"fingerprint": fingerprint(video), "sha256": sha256_file(path), "truth": truth}
        write_text(_truth_path(folder, video), json.dumps(entry, ensure_ascii=False))
    except Exception as error:
        if is_disk_full(error):
            raise DiskFullError(folder) from error
        raise
    return video.video_id


def _quiet_interrupt() -> None:
    """Leave Ctrl-C to the parent, which stops the workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _draw_all(folder: Path, videos: Sequence[SampleVideo], processes: int) -> Iterator[str]:
    """Draw in parallel; yields the id of each video when it is whole."""
    if processes <= 1 or len(videos) <= 1:
        for video in videos:
            yield _draw_one(folder, video)
        return
    context = multiprocessing.get_context("spawn")  # MediaPipe holds threads that do not survive a fork
    count = min(processes, len(videos))
    pool = concurrent.futures.ProcessPoolExecutor(count, mp_context=context, initializer=_quiet_interrupt)
    try:
        for future in concurrent.futures.as_completed([pool.submit(_draw_one, folder, video) for video in videos]):
            yield future.result()
        pool.shutdown()
    except BaseException:
        for process in list((pool._processes or {}).values()):
            process.kill()
        pool.shutdown(wait=True, cancel_futures=True)
        for unfinished in (folder / _SOURCES).glob(".tmp-*"):  # killed workers cannot tidy up
            unfinished.unlink(missing_ok=True)
        raise
