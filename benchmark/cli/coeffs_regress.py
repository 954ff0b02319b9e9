"""Coefficients of the Basel Face Model by Deep3DFaceRecon's network: one .mat a clip."""

import dataclasses
import io
import json
import logging
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
import tyro

from benchmark.cli._console import counted, progress, say

if TYPE_CHECKING:
    from chdtf.morphable.regression.network import ReconNet

log = logging.getLogger(__name__)

RECORD = "regress.json"


@dataclasses.dataclass(frozen=True)
class _Clip:
    """One clip: its frames, read anew each time, and how its landmarks are found."""

    clip_id: str
    num_frames: int
    fps: float
    frames: Callable[[], Iterator[np.ndarray]]
    landmarks: Callable[[], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Command:
    """Regress 257 coefficients and the crop's 5 parameters of every frame, and write them as PIRenderer, StyleTalk and
    DreamTalk read them: one .mat a clip, NaN in frames without a face. What is written already is kept.
    """

    source: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="VIDEO|DATASET [...]")]
    """Video files, or folders of datasets. PIRenderer and its kin want coefficients of 256 px frames at 25 fps."""
    weights: Annotated[Path, tyro.conf.arg(metavar="FILE")]
    """epoch_20.pth of Deep3DFaceRecon_pytorch, the checkpoint of 25 April 2023."""
    out: Annotated[Path, tyro.conf.arg(metavar="FOLDER")]
    """Where to write <clip>.mat, and regress.json: what made them."""
    device: str = "cpu"
    """cpu, cuda, cuda:1, ..."""
    batch: int = 16
    """Frames that the network sees at a time."""
    gaps: Literal["nan", "hold"] = "nan"
    """Frames without a face: NaN, or the last one that has a face, repeated."""
    points: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """similarity_Lm3D_all.mat of Deep3DFaceRecon, for its own standard points instead of the built-in ones."""
    again: bool = False
    """Make also what is written already."""
    accept_older: bool = False
    """Go on with a checkpoint that cannot close the eyes."""

    def run(self) -> int:
        """Print a line a clip; exit status 1 when one failed."""
        from chdtf.errors import Reject, UserError

        if not self.source:
            raise UserError("no video or dataset given; name one or more")
        if self.batch < 1:
            raise UserError(f"--batch {self.batch}: must be 1 or more")
        if self.out.exists() and not self.out.is_dir():
            raise UserError(f"--out {self.out}: is a file; name a folder, which is made if need be")
        if self.out.is_dir() and not os.access(self.out, os.W_OK):
            raise UserError(f"--out {self.out}: nothing can be written there; name another folder")
        clips = self._clips()
        standard, record = self._prepare()
        waiting = [clip for clip in clips if self.again or not self._path(clip).exists()]
        if len(waiting) < len(clips):
            say(
                f"{len(clips) - len(waiting)} of {len(clips)} clips are in {self.out} already (--again makes them anew)"
            )
        if not waiting:
            return 0
        network = self._network()
        try:
            self.out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"--out {self.out}: cannot be made ({error.strerror}); name another folder") from error
        _write_json(self.out / RECORD, record)
        failed = 0
        for clip in waiting:
            try:
                say(self._regress(clip, network, standard))
            except (Reject, UserError) as error:
                failed += 1
                say(f"{clip.clip_id}: failed, {error}")
        return 1 if failed else 0

    def _regress(self, clip: _Clip, network: "ReconNet", standard: np.ndarray | None) -> str:
        from chdtf.errors import UserError
        from chdtf.morphable.exchange.files import write_bfm
        from chdtf.morphable.regression.regress import regress

        landmarks = clip.landmarks()
        begun = time.perf_counter()
        with progress(f"regressing {clip.clip_id}") as report:
            given = counted(clip.frames(), lambda done: report(done, max(done, clip.num_frames), "frames"))
            found = regress(given, landmarks, network, self.device, self.batch, standard)
        rate = found.num_frames / (time.perf_counter() - begun)
        missing = int((~found.valid).sum())
        if missing == found.num_frames:
            raise UserError(f"no face in any of {missing} frames")
        write_bfm(self._path(clip), found, "257", self.gaps)
        gaps = f", {missing} without a face ({'NaN' if self.gaps == 'nan' else 'held'})" if missing else ""
        return f"{self._path(clip)}: {found.num_frames} frames at {clip.fps:g} fps{gaps}; {rate:.1f} frames/s"

    def _path(self, clip: _Clip) -> Path:
        return self.out / f"{clip.clip_id}.mat"

    def _network(self) -> "ReconNet":
        """The network, when it is one that closes the eyes."""
        from chdtf.morphable.models import bfm
        from chdtf.morphable.regression.network import load_network
        from chdtf.morphable.regression.probe import check_checkpoint

        network = load_network(self.weights, self.device)
        model = bfm.load(None) if bfm.is_here() else None
        verdict = check_checkpoint(self.weights, network, model, self.device, self.accept_older)
        if verdict.closes_eyes:
            say(verdict.line)
        else:
            log.warning(verdict.line)
        return network

    def _prepare(self) -> tuple[np.ndarray | None, dict[str, str]]:
        """Standard points, and what makes the coefficients; files of two makings are not mixed in one folder."""
        from chdtf.errors import UserError
        from chdtf.files import sha256_file
        from chdtf.morphable.regression.align import read_standard_points
        from chdtf.morphable.regression.network import find_checkpoint

        record = {"network": "Deep3DFaceRecon ResNet-50", "weights_sha256": sha256_file(find_checkpoint(self.weights))}
        standard = None if self.points is None else read_standard_points(self.points)
        record["standard_points"] = "mp468" if self.points is None else sha256_file(self.points)
        path = self.out / RECORD
        if path.is_file():
            try:
                before = json.loads(path.read_text(encoding="utf-8"))
            except (OSError, ValueError) as error:
                raise UserError(f"{path}: not readable ({error}); choose another --out") from error
            if before != record:
                raise UserError(f"{self.out}: its files were made with other weights or points; choose another --out")
        return standard, record

    def _clips(self) -> list[_Clip]:
        from chdtf.errors import UserError

        clips: dict[str, _Clip] = {}
        for source in self.source:
            for clip in _of_dataset(source) if source.is_dir() else [_of_video(source)]:
                if clip.clip_id in clips:
                    raise UserError(f"{source}: a second clip called {clip.clip_id!r}; regress it to another --out")
                clips[clip.clip_id] = clip
        return list(clips.values())


def _of_dataset(root: Path) -> list[_Clip]:
    from chdtf.clip import Clip, read_clips
    from chdtf.media import frames

    def one(clip: Clip) -> _Clip:
        def shown() -> Iterator[np.ndarray]:
            return frames(io.BytesIO(clip.video_bytes()), clip.fps)

        return _Clip(clip.clip_id, clip.num_frames, clip.fps, shown, clip.landmarks)

    return [one(clip) for clip in read_clips(root)]


def _of_video(path: Path) -> _Clip:
    from chdtf.errors import UserError
    from chdtf.media import UnreadableError, frames, probe
    from chdtf.morphable.drawing.video import constant_rate
    from chdtf.schema import FRAME_SIZE_PX

    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        info = probe(path)
        fps, _ = constant_rate(path)
    except UnreadableError as error:
        raise UserError(f"{path}: not a video that can be read ({error.detail})") from error
    expected = max(1, round(info.duration_s * fps))
    if (info.width, info.height) != (FRAME_SIZE_PX, FRAME_SIZE_PX):
        log.warning(
            "%s: frames are %d x %d px; methods of the field animate poorly with coefficients of other frames than "
            "%d x %d (crop the face, or give a dataset)",
            *(path, info.width, info.height, FRAME_SIZE_PX, FRAME_SIZE_PX),
        )

    def landmarks() -> np.ndarray:
        from chdtf.faces import track_landmarks

        with progress(f"tracking {path.stem}") as report:
            given = counted(frames(path, fps), lambda done: report(done, max(done, expected), "frames"))
            return track_landmarks(given)

    return _Clip(path.stem, expected, fps, lambda: frames(path, fps), landmarks)


def _write_json(path: Path, record: dict[str, str]) -> None:
    from chdtf.files import write_text

    write_text(path, json.dumps(record, indent=2) + "\n")
