"""One clip in the making, while its source is being decoded; and the account of what becomes no clip."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from av.video.reformatter import VideoReformatter

from chdtf.columns import Row
from chdtf.media import fit_size
from chdtf.region import Footage, RegionTaker
from pipelines.clips.detectors import Detector
from pipelines.clips.framing import Framing, crop_box, even_fractions

_NOISE_S = 1e-6
_SLIVER_S = 0.12  # an annotation that begins or ends within a frame or two of a border leaves this, and it is no news
_LONGEST_RUN_S = 600.0  # of what is left out, until it is reported; the engine waits for rows


@dataclasses.dataclass(frozen=True)
class Viewer:
    """Looks for faces in decoded frames.

    Attributes:
        detector: finds them.
        sample_fps: how often a second to look.
        look_px: longest side of the image to look at.
        region_span: side of the region to keep, in crops of a head that keeps still.
        crop: the manifest's crop in fractions; then nobody looks.

    """

    detector: Detector
    sample_fps: float
    look_px: int
    region_span: float
    crop: Sequence[float] | None
    reformatter: VideoReformatter = dataclasses.field(default_factory=VideoReformatter)

    def faces(self, frame: Any) -> np.ndarray:
        """Faces of a PyAV frame as shown: float32 (N, 5), x0, y0, x1, y1 as fractions and the score."""
        width, height = fit_size(frame.width, frame.height, self.look_px) or (frame.width, frame.height)
        image = self.reformatter.reformat(frame, width, height, "rgb24", interpolation="AREA").to_ndarray()
        return self.detector.detect(np.ascontiguousarray(np.rot90(image, _turns(frame))))

    def region(self, faces: np.ndarray, width: int, height: int) -> np.ndarray | None:
        """Region (4,) in fractions that will hold the clip's crop, by the faces (N, 5) in its first frame, or None."""
        if self.crop is not None:
            left, top, side = crop_box(self.crop, width, height)
            return even_fractions((left, top, left + side, top + side), width, height)
        if not len(faces):
            return None
        boxes = faces[:, :4] * np.array([width, height, width, height])
        largest = boxes[np.argmax(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1))]
        return Framing().region(largest, width, height, self.region_span)


def _turns(frame: Any) -> int:
    """Quarter turns, counter-clockwise, that bring a frame into the position in which it is shown."""
    return round(getattr(frame, "rotation", 0) / 90) % 4


class Take:
    """A stretch of one shot, from `begin_s` to, unless the shot ends before, `planned_s`.

    With a viewer it gathers faces and frames as `add` is given each decoded frame, beginning with the one shown at
    `begin_s`; without, only times.
    """

    def __init__(self, begin_s: float, planned_s: float, shot: int, viewer: Viewer | None) -> None:
        self.begin_s, self.planned_s, self.shot = begin_s, planned_s, shot
        self.end_s = planned_s
        self.fault: str | None = None  # why it becomes no clip
        self.footage: Footage | None = None
        self._viewer = viewer
        self._taker: RegionTaker | None = None
        self._shown: tuple[int, int] | None = None
        self._roi: np.ndarray | None = None
        self._found: list[np.ndarray] = []
        self._sampled = 0
        self._due_s = begin_s

    @property
    def length_s(self) -> float:
        """How long it lasts, once it is closed."""
        return self.end_s - self.begin_s

    def add(self, time_s: float, frame: Any) -> None:
        """Take one decoded frame, shown from `time_s` on."""
        if self._viewer is None:
            return
        is_first = self._shown is None
        faces = np.zeros((0, 5), np.float32)
        if (self._viewer.crop is None and time_s >= self._due_s - _NOISE_S) or is_first:
            faces = self._sample(max(time_s - self.begin_s, 0.0), frame)
        if is_first:
            size = (frame.height, frame.width) if _turns(frame) % 2 else (frame.width, frame.height)
            self._shown = size
            self._roi = self._viewer.region(faces, *size)
            self._taker = None if self._roi is None else RegionTaker(self.begin_s, self._roi.tolist())
        if self._taker is not None:
            self._taker.add(time_s, frame)

    def _sample(self, offset_s: float, frame: Any) -> np.ndarray:
        assert self._viewer is not None
        if self._viewer.crop is not None:
            return np.zeros((0, 5), np.float32)
        faces = self._viewer.faces(frame)
        self._found.append(np.column_stack([np.full(len(faces), offset_s), faces]))
        self._sampled += 1
        step_s = 1 / self._viewer.sample_fps
        self._due_s = self.begin_s + (np.floor(offset_s / step_s + 1e-3) + 1) * step_s
        return faces

    def close(self, end_s: float, following: tuple[float, Any] | None = None) -> "Take":
        """End it, given the first frame at or after `end_s` where there is one."""
        self.end_s = end_s
        if self._taker is not None:
            if following is not None:
                self._taker.add(*following)
            self.footage = self._taker.finish(end_s)
        self._taker = self._viewer = None
        return self

    def columns(self) -> Row:
        """Its columns of the table; `reject` where it becomes no clip."""
        times: Row = {"clip_start_s": self.begin_s, "clip_end_s": self.end_s, "shot": self.shot}
        if self.fault is not None:
            return {**times, "reject": self.fault}
        shown = self._shown or (None, None)
        return {
            **times,
            "shown_width": shown[0],
            "shown_height": shown[1],
            "sampled_frames": self._sampled or None,
            "detections": np.concatenate(self._found).astype(np.float32) if self._found else None,
            "roi": self._roi,
        }


@dataclasses.dataclass
class _Run:
    word: str
    first: Take
    end_s: float
    count: int
    total_s: float
    longest_s: float


class LeftOut:
    """What becomes no clip: consecutive stretches with the same fault are told together, as one."""

    def __init__(self, min_clip_s: float) -> None:
        self._min_clip_s = min_clip_s
        self._run: _Run | None = None

    def add(self, take: Take, word: str) -> Iterator[Take]:
        """Take note of one more; yields what is complete with it."""
        run = self._run
        if run is not None and (run.word != word or take.end_s - run.first.begin_s > _LONGEST_RUN_S):
            yield from self.flush()
            run = None
        if run is None:
            self._run = _Run(word, take, take.end_s, 1, take.length_s, take.length_s)
        else:
            run.end_s, run.count = take.end_s, run.count + 1
            run.total_s, run.longest_s = run.total_s + take.length_s, max(run.longest_s, take.length_s)

    def flush(self, even_slivers: bool = False) -> Iterator[Take]:
        """Yield the run so far as one take with its fault in words."""
        run, self._run = self._run, None
        if run is None or (run.total_s < _SLIVER_S and not even_slivers):
            return
        told = Take(run.first.begin_s, run.end_s, run.first.shot, None)
        if run.word == "pause":
            told.fault = f"pause: {run.total_s:.2f} s in which nobody speaks"
        elif run.count == 1:
            told.fault = f"too_short: {run.total_s:.2f} s, at least {self._min_clip_s:g} s"
        else:
            told.fault = (
                f"too_short: {run.count} shots in {run.total_s:.2f} s, the longest {run.longest_s:.2f} s, at least "
                f"{self._min_clip_s:g} s"
            )
        yield told
