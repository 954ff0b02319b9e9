"""Cut: one pass over a source gives its clips, with the faces in them and, in memory, the frames around the face.

The sound comes first, then the picture is decoded once: borders between shots, faces a few times a second, and the
region of the face for the stages that follow.
"""

import dataclasses
import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import av
import pyarrow as pa

from chdtf.columns import Row
from chdtf.engine.shards import Workspace
from chdtf.errors import Reject, UserError
from chdtf.files import sha256_file
from chdtf.media import UnreadableError, decode, frames, refusing
from chdtf.schema import FPS, frames_of
from pipelines.clips.detectors import NAMES, Detector, load
from pipelines.clips.shots import Sensitivity, look, shots
from pipelines.clips.speech import Speech, speech_segments
from pipelines.clips.take import LeftOut, Take, Viewer

_NOISE_S = 1e-6
_MAX_LAST_FRAME_S = 1.0


@dataclasses.dataclass(frozen=True)
class Stage:
    """Cuts the manifest's interval, or the whole source, into clips of `min_clip_s` to `max_clip_s` seconds.

    A clip ends where its shot ends, where nobody speaks for longer than `max_pause_s` (speech keeps `margin_s` of the
    silence; a shot in which nobody speaks at all stays whole), and at `max_clip_s`, then in a gap between words where
    there is one near. What is left out is one rejected row for each run of it: `too_short`, `pause`, `unreadable`.

    A row of a lock (`is_exact`) is one clip as it is, under its own id.

    Attributes:
        min_clip_s: shorter shots are left out.
        max_clip_s: longer ones are cut into pieces alike in length; bounds the memory that a clip takes.
        tolerance_s: annotations may end this much after the source does; they are cut to it.
        max_pause_s: longer silences between words divide.
        margin_s: what speech keeps of such a silence.
        vad_mode: aggressiveness of WebRTC's voice activity detector, 0 to 3.
        sensitivity: what counts as a border between shots.
        detector: `mediapipe` or `scrfd`.
        detector_model: path of the SCRFD model file; its hash, not its path, is part of the fingerprint.
        sample_fps: how often a second faces are looked for.
        look_px: longest side of the image that they are looked for in; MediaPipe sees 192 px of it, SCRFD up to 640.
        region_span: side of the region kept in memory, in crops of a head that keeps still.

    """

    name: ClassVar[str] = "cut"
    version: ClassVar[int] = 2
    timeout_s: ClassVar[float] = 1200.0  # the longest way to the next row: the sound of a whole source
    adds: ClassVar[pa.Schema] = pa.schema(
        [
            ("clip_start_s", pa.float64()),  # seconds in the source
            ("clip_end_s", pa.float64()),
            ("shot", pa.int32()),  # number of the shot in the interval
            ("shown_width", pa.int32()),  # px of the frame after rotation
            ("shown_height", pa.int32()),
            ("sampled_frames", pa.int32()),  # looked at for faces
            ("detections", frames_of(6)),  # a row a face: time in the clip (s), x0, y0, x1, y1 (fractions), score
            ("roi", pa.list_(pa.float64())),  # x0, y0, x1, y1, fractions: the region that was kept; null: none
        ]
    )

    min_clip_s: float = 1.0
    max_clip_s: float = 30.0
    tolerance_s: float = 1.0
    max_pause_s: float = 3.0
    margin_s: float = 0.5
    vad_mode: int = 2
    sensitivity: Sensitivity = dataclasses.field(default_factory=Sensitivity)
    detector: str = "mediapipe"
    detector_model: str = dataclasses.field(default="", metadata={"fingerprint": False})
    detector_sha256: str = dataclasses.field(default="", init=False)
    sample_fps: float = 5.0
    look_px: int = 384
    region_span: float = 1.75

    def __post_init__(self) -> None:
        """Hash the model file. Raises `UserError` for bounds that no clip meets, and for a missing detector."""
        if not 0 < self.min_clip_s <= self.max_clip_s:
            raise UserError(f"min_clip_s {self.min_clip_s:g}, max_clip_s {self.max_clip_s:g}: no clip is so long")
        if self.detector not in NAMES:
            raise UserError(f"unknown detector {self.detector!r}; allowed are {', '.join(NAMES)}")
        if self.detector == "scrfd":
            model = Path(self.detector_model)
            if not self.detector_model or not model.is_file():
                raise UserError(
                    f"detector_model {self.detector_model!r}: no such file; detector 'scrfd' needs the path of an "
                    "SCRFD model (det_*.onnx of insightface)"
                )
            object.__setattr__(self, "detector_sha256", sha256_file(model))

    def load(self) -> Detector:
        """Start the detector."""
        return load(self.detector, Path(self.detector_model) if self.detector_model else None)

    def apply(self, row: Row, model: Detector, workspace: Workspace) -> Iterator[Row]:
        """Yield the clips of one video, each when it ends, with its frames in `workspace.scratch["footage"]`.

        Raises `Reject` (`no_audio`, `unknown_duration`, `outside_source`, `too_short`, `no_frames`, `unreadable`).
        """
        start_s, end_s = self._interval(row)
        path = workspace.resolve(row["source"])
        if row.get("is_exact"):
            yield {**row, **_exactly(path, start_s, end_s)}
            return
        segments = speech_segments(path, start_s, end_s, self.vad_mode)
        speech = Speech(segments, start_s, end_s, self.max_pause_s, self.margin_s)
        viewer = Viewer(model, self.sample_fps, self.look_px, self.region_span, row.get("crop"))
        for number, take in enumerate(self._accounted(self._takes(path, speech, viewer))):
            clip_id = f"{row['video_id']}_{number:03d}"
            if take.footage is not None:
                workspace.scratch["footage"] = (clip_id, take.footage)
                take.footage = None
            yield {**row, **take.columns(), "clip_id": clip_id}
            workspace.scratch.pop("footage", None)

    def _interval(self, row: Row) -> tuple[float, float]:
        if "source_audio_codec" in row and row["source_audio_codec"] is None:
            raise Reject("no_audio", "the source has no audio stream")
        duration_s = row["source_duration_s"]
        if not duration_s or not math.isfinite(duration_s):
            raise Reject("unknown_duration", "the container does not say how long it is")
        start_s = row["start_s"] or 0.0
        end_s = duration_s if row["end_s"] is None else row["end_s"]
        if start_s >= duration_s or end_s > duration_s + self.tolerance_s:
            raise Reject("outside_source", f"{start_s:g} to {end_s:g} s of a source of {duration_s:.2f} s")
        end_s = min(end_s, duration_s)
        if end_s - start_s < self.min_clip_s:
            raise Reject("too_short", f"{end_s - start_s:.2f} s, at least {self.min_clip_s:g} s")
        return start_s, end_s

    def _accounted(self, takes: Iterator[Take]) -> Iterator[Take]:
        """The takes that become clips, and between them, told together, those that do not."""
        left_out = LeftOut(self.min_clip_s)
        is_any = False
        for take in takes:
            word = take.fault or ("too_short" if take.length_s < self.min_clip_s - _NOISE_S else None)
            if word in ("pause", "too_short"):
                take.footage = None
                told = left_out.add(take, word)
            else:
                told = itertools.chain(left_out.flush(), [take])
            for one in told:
                is_any = True
                yield one
        yield from left_out.flush(even_slivers=not is_any)

    def _takes(self, path: Path, speech: Speech, viewer: Viewer) -> Iterator[Take]:
        """The interval as closed takes, in order; those with a `fault` become no clip."""
        crew = _Crew(self, speech, viewer)
        try:
            with refusing(path):
                decoded = decode(path, speech.start_s, speech.end_s)
                for time_s, frame, is_border in shots(decoded, look, self.sensitivity):
                    yield from crew.add(time_s, frame, is_border)
        except UnreadableError as error:
            if crew.last is None:
                raise
            yield from crew.finish(error.detail)
            return
        if crew.last is None:
            raise Reject("no_frames", f"{speech.start_s:g} to {speech.end_s:g} s holds no video frame")
        ends_s = picture_end_s(path) or speech.end_s
        missing_s = min(ends_s, speech.end_s) - crew.ends_s
        is_cut_off = missing_s > self.tolerance_s
        yield from crew.finish(f"the picture ends at {crew.ends_s:.2f} of {ends_s:.2f} s" if is_cut_off else None)


def _exactly(path: Path, start_s: float, end_s: float) -> Row:
    """Columns of the one clip that a lock's row is; its region is in the row, its frames are left to be decoded."""
    with refusing(path):
        shown = next(frames(path, FPS, start_s, end_s), None)
    if shown is None:
        raise Reject("no_frames", f"{start_s:g} to {end_s:g} s holds no video frame")
    height, width = shown.shape[:2]
    return {"clip_start_s": start_s, "clip_end_s": end_s, "shown_width": width, "shown_height": height}


class _Crew:
    """Divides decoded frames among takes."""

    def __init__(self, stage: Stage, speech: Speech, viewer: Viewer) -> None:
        self._stage, self._speech, self._viewer = stage, speech, viewer
        self.last: tuple[float, Any] | None = None  # the last frame
        self.ends_s = speech.start_s  # when the last frame ends, as far as one can tell
        self._take: Take | None = None
        self._is_pause = False
        self._stretch_end_s = speech.end_s
        self._shot = 0
        self._has_spoken = False  # in this shot

    def _open(self, begin_s: float) -> Take:
        stretch = self._speech.stretch(begin_s)
        self._is_pause, self._stretch_end_s = stretch.is_pause, stretch.end_s
        planned_s = self._speech.cut_before(begin_s, stretch.end_s, self._stage.max_clip_s)
        is_lost = stretch.is_pause and self._has_spoken
        return Take(begin_s, planned_s, self._shot, None if is_lost else self._viewer)

    def _close(self, end_s: float, following: tuple[float, Any] | None) -> Take:
        assert self._take is not None
        take = self._take.close(end_s, following)
        speaks_next = self._stretch_end_s - _NOISE_S <= end_s < self._speech.end_s - _NOISE_S
        if self._is_pause and (self._has_spoken or speaks_next):
            take.fault = "pause"
        self._has_spoken = self._has_spoken or not self._is_pause
        self._take = None
        return take

    def add(self, time_s: float, frame: Any, is_border: bool) -> Iterator[Take]:
        """Take one decoded frame; yields the takes that end with it."""
        last, end_s = self.last, self._speech.end_s
        if last is None:
            self._take = self._open(self._speech.start_s)
        elif self._take is None or time_s <= last[0]:
            return  # after the end, or a broken timestamp
        self.last = (time_s, frame)
        self.ends_s = time_s + (min(time_s - last[0], _MAX_LAST_FRAME_S) if last else 1 / FPS)
        # a planned end within a frame of a border gives way to it
        until_s = time_s - (1 / FPS if is_border else 0.0) + _NOISE_S
        while self._take is not None and self._take.planned_s <= until_s:
            planned_s = self._take.planned_s
            yield self._close(planned_s, (time_s, frame))
            if planned_s >= end_s - _NOISE_S:
                return
            self._take = self._open(planned_s)
            if last is not None and time_s > planned_s + _NOISE_S:
                self._take.add(*last)
        if is_border:
            yield self._close(time_s, (time_s, frame))
            self._shot, self._has_spoken = self._shot + 1, False
            self._take = self._open(time_s)
        assert self._take is not None
        self._take.add(time_s, frame)

    def finish(self, broken: str | None) -> Iterator[Take]:
        """Yield the last take and, when the picture breaks off, what is missing as one with that fault."""
        if self._take is None or self.last is None:
            return
        # a clip before a break ends with the last frame that came out whole, so that it can be decoded again alone
        end_s = self.last[0] if broken else min(self.ends_s, self._take.planned_s)
        yield self._close(end_s, self.last if broken else None)
        if broken:
            rest = Take(end_s, self._speech.end_s, self._shot, None)
            rest.fault = f"unreadable: {broken}"
            yield rest


def picture_end_s(path: Path) -> float | None:
    """How long the container says that its first video stream lasts, or None."""
    with refusing(path), av.open(str(path)) as container:
        stream = container.streams.video[0]
        return float(stream.duration * stream.time_base) if stream.duration and stream.time_base else None
