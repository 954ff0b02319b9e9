"""A clip's frames at a constant rate, cut to a region of the source and kept small in memory: YUV 4:2:0, 640 px.

The frames of a clip are taken while its source is decoded for another purpose (`RegionTaker`), or by decoding again
(`read_footage`); both give the same bytes.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from av.video.reformatter import VideoReformatter

from chdtf.colour import STANDARD, Colour, Planes, planes_of, to_standard
from chdtf.media import decode, fit_size, refusing
from chdtf.schema import FPS
from chdtf.timing import ConstantRate

LONGEST_SIDE_PX = 640
Box = tuple[int, int, int, int]
WHOLE = (0.0, 0.0, 1.0, 1.0)


def contains(roi: Sequence[float] | None, box: Sequence[float]) -> bool:
    """Whether a region holds all of a box that lies within the frame; both x0, y0, x1, y1 as fractions.

    None as a region holds nothing.
    """
    if roi is None:
        return False
    slack = 1e-9
    low = all(roi[i] <= max(box[i], 0.0) + slack for i in (0, 1))
    return low and all(roi[i] >= min(box[i], 1.0) - slack for i in (2, 3))


@dataclasses.dataclass(frozen=True)
class Footage:
    """Frames of a clip at a constant rate, cut to a region.

    Attributes:
        frames: of each frame the planes Y (H, W), U and V (H / 2, W / 2), uint8; a repeated frame is the same object.
        shown: (width, height) px of the whole source frame, after rotation.
        region: x0, y0, x1, y1 px of the shown frame that the planes hold.
        colour: what the planes' values mean.

    """

    frames: list[Planes]
    shown: tuple[int, int]
    region: Box
    colour: Colour

    @property
    def num_frames(self) -> int:
        """How many frames."""
        return len(self.frames)

    def window(self, box: Sequence[float]) -> Box:
        """`box` (fractions of the shown frame) in pixels of the planes; it may reach beyond them."""
        x0, y0, x1, y1 = self.region
        height, width = self.frames[0][0].shape
        across, down = width / (x1 - x0), height / (y1 - y0)
        left, top = (box[0] * self.shown[0] - x0) * across, (box[1] * self.shown[1] - y0) * down
        right, bottom = (box[2] * self.shown[0] - x0) * across, (box[3] * self.shown[1] - y0) * down
        return round(left), round(top), round(right), round(bottom)

    def crop(self, box: Sequence[float], size_px: int) -> Iterator[np.ndarray]:
        """Each frame cut to `box` (fractions of the shown frame) and scaled to a square of `size_px`, an even number.

        Yields uint8 (size_px * 3 / 2, size_px), the planes of YUV 4:2:0 one after another (I420) in BT.601 limited
        range, whatever the source's colours: what unlabelled small video is taken for. What lies outside the frame
        repeats its border. A repeated frame yields the same array.
        """
        if not self.frames:
            return
        window = self.window(box)
        last: Planes | None = None
        for planes in self.frames:
            if planes is not last:
                last = planes
                y, u, v = (_cut(plane, window, size_px, bool(i)) for i, plane in enumerate(planes))
                out = to_standard((y, u, v), self.colour)
            yield out


def _cut(plane: np.ndarray, window: Box, size_px: int, chroma: bool) -> np.ndarray:
    """A window of one plane, scaled; `window` is in pixels of the luma plane."""
    x0, y0, x1, y1 = (round(value / 2) for value in window) if chroma else window
    x1, y1 = max(x1, x0 + 1), max(y1, y0 + 1)
    height, width = plane.shape
    inside = plane[max(y0, 0) : min(y1, height), max(x0, 0) : min(x1, width)]
    beyond = (max(-y0, 0), max(y1 - height, 0), max(-x0, 0), max(x1 - width, 0))
    if any(beyond):
        inside = cv2.copyMakeBorder(inside, *beyond, cv2.BORDER_REPLICATE)
    return _scaled(inside, size_px // 2 if chroma else size_px, size_px // 2 if chroma else size_px)


def _scaled(plane: np.ndarray, width: int, height: int) -> np.ndarray:
    if plane.shape == (height, width):
        return plane.copy()  # a view would keep the whole decoded frame
    shrinks = plane.shape[0] > height or plane.shape[1] > width
    out: np.ndarray = cv2.resize(plane, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    return out


def region_px(roi: Sequence[float] | None, width: int, height: int) -> Box:
    """A region as pixels of the shown frame: even, at least 2 px each way, grown outwards, within the frame."""

    def span(low: float, high: float, size: int) -> tuple[int, int]:
        limit = size - size % 2
        begin = min(max(int(np.floor(low * size / 2 + 1e-6)) * 2, 0), limit - 2)
        end = max(min(int(np.ceil(high * size / 2 - 1e-6)) * 2, limit), begin + 2)
        return begin, end

    x0, y0, x1, y1 = WHOLE if roi is None else roi
    (left, right), (top, bottom) = span(x0, x1, width), span(y0, y1, height)
    return left, top, right, bottom


class RegionTaker:
    """Takes a clip's frames out of a stream of decoded ones.

    `start_s` counts as `chdtf.media.decode` does; `roi` is x0, y0, x1, y1 as fractions of the shown frame (that is,
    after rotation), or None for the whole. Feed `add` in order with every decoded frame, beginning with the last one at
    or before `start_s` where there is one (earlier ones change nothing), up to and including the first one at or after
    the end where there is one (later ones change nothing); then `finish`.
    """

    def __init__(self, start_s: float, roi: Sequence[float] | None, fps: float = FPS) -> None:
        self._rate = ConstantRate(start_s, fps)
        self._roi = roi
        self._pending: Any = None
        self._held: Planes | None = None
        self._reformatter = VideoReformatter()
        self._frames: list[Planes] = []
        self._shape: tuple[tuple[int, int], Box, Colour] | None = None
        self._size = (2, 2)

    def add(self, time_s: float, frame: Any) -> None:
        """Take one decoded frame (`av.VideoFrame`), shown from `time_s` on."""
        self._repeat(self._rate.add(time_s))
        if self._rate.last_s == time_s:  # else its timestamp is broken
            self._pending, self._held = frame, None

    def _repeat(self, count: int) -> None:
        if count <= 0 or self._pending is None:
            return
        if self._held is None:
            self._held = self._taken(self._pending)
        self._frames += [self._held] * count

    def _taken(self, frame: Any) -> Planes:
        planes, colour = planes_of(frame, self._reformatter)
        turns = round(getattr(frame, "rotation", 0) / 90) % 4
        if turns:
            planes = (np.rot90(planes[0], turns), np.rot90(planes[1], turns), np.rot90(planes[2], turns))
        height, width = planes[0].shape
        x0, y0, x1, y1 = region = region_px(self._roi, width, height)
        if self._shape is None:
            self._shape = (width, height), region, colour
            self._size = fit_size(x1 - x0, y1 - y0, LONGEST_SIDE_PX) or (x1 - x0, y1 - y0)
        across, down = self._size  # those of the first frame: a source may change its size midway
        y, u, v = planes
        chroma = slice(y0 // 2, y1 // 2), slice(x0 // 2, x1 // 2)
        return (
            _scaled(y[y0:y1, x0:x1], across, down),
            _scaled(u[chroma], across // 2, down // 2),
            _scaled(v[chroma], across // 2, down // 2),
        )

    def finish(self, end_s: float) -> Footage:
        """The clip up to `end_s`: no frame at or after it is in it. The taker is spent."""
        total = self._rate.end(end_s)
        self._repeat(total - len(self._frames))
        frames, self._frames, self._pending = self._frames[:total], [], None
        shown, region, colour = self._shape or ((2, 2), (0, 0, 2, 2), STANDARD)
        return Footage(frames, shown, region, colour)


def read_footage(path: Path, start_s: float, end_s: float, roi: Sequence[float] | None, fps: float = FPS) -> Footage:
    """The clip from `start_s` to `end_s`, decoded for this alone: byte for byte what `RegionTaker` takes in passing.

    Raises `UnreadableError`.
    """
    taker = RegionTaker(start_s, roi, fps)
    with refusing(path):
        for time_s, frame in decode(path, start_s, end_s):
            taker.add(time_s, frame)
        return taker.finish(end_s)
