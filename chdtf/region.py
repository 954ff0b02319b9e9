"""A clip's frames at a constant rate, cut to a region of the source and kept small in memory, as YUV 4:2:0.

The frames of a clip are taken while its source is decoded for another purpose (`RegionTaker`), or by decoding again
(`read_footage`); both give the same bytes.
"""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av.video.reformatter import VideoReformatter

from chdtf.colour import STANDARD, Colour, Planes, planes_of, reformat, to_standard, views_of
from chdtf.media import decode, refusing
from chdtf.schema import FPS
from chdtf.timing import ConstantRate

MAX_PIXELS = 435_000  # of a frame, some 660 x 660; a larger region is kept smaller: 30 s take 490 MB at most
_LEAST_PIXELS = 154_000  # a larger region is not kept smaller than this, so that a crop of 60 % still has 230 px
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

    @property
    def scale(self) -> float:
        """Pixels kept for each pixel of the source, in one direction: 1 or less."""
        return self.frames[0][0].shape[1] / (self.region[2] - self.region[0]) if self.frames else 1.0

    def window(self, box: Sequence[float]) -> Box:
        """`box` (fractions of the shown frame) in pixels of the planes: even numbers; it may reach beyond them."""
        width, height = self.shown
        scale = self.scale
        left, top = (box[0] * width - self.region[0]) * scale, (box[1] * height - self.region[1]) * scale
        across, down = (box[2] - box[0]) * width * scale, (box[3] - box[1]) * height * scale
        x0, y0 = _even(left), _even(top)
        return x0, y0, x0 + max(_even(across), 2), y0 + max(_even(down), 2)

    def crop(self, box: Sequence[float], size_px: int) -> Iterator[np.ndarray]:
        """Each frame cut to `box` (fractions of the shown frame) and scaled to a square of `size_px`, an even number.

        Yields uint8 (size_px * 3 / 2, size_px), the planes of YUV 4:2:0 one after another (I420), in the standard
        colours of `chdtf.colour`. What lies outside the frame repeats its border. A repeated frame yields the same
        array. Scaled by FFmpeg, bicubic.
        """
        if not self.frames:
            return
        window = self.window(box)
        given = av.VideoFrame(window[2] - window[0], window[3] - window[1], "yuv420p")
        views = views_of(given)
        reformatter = VideoReformatter()
        last: Planes | None = None
        for planes in self.frames:
            if planes is not last:
                last = planes
                for i, view in enumerate(views):
                    view[:] = _cut(planes[i], window, chroma=i > 0)
                scaled = reformat(reformatter, given, width=size_px, height=size_px, interpolation="BICUBIC")
                out = to_standard(views_of(scaled), self.colour)
            yield out


def _even(value: float) -> int:
    return 2 * round(value / 2)


def _cut(plane: np.ndarray, window: Box, chroma: bool) -> np.ndarray:
    """A window of one plane; `window` is in pixels of the luma plane."""
    x0, y0, x1, y1 = (value // 2 for value in window) if chroma else window
    height, width = plane.shape
    beyond = (max(-y0, 0), max(y1 - height, 0), max(-x0, 0), max(x1 - width, 0))
    if not any(beyond):
        return plane[y0:y1, x0:x1]
    across, down = (np.arange(low, high) for low, high in ((x0, x1), (y0, y1)))
    out: np.ndarray = plane[down.clip(0, height - 1)[:, None], across.clip(0, width - 1)]
    return out


def region_px(roi: Sequence[float] | None, width: int, height: int) -> tuple[Box, tuple[int, int]]:
    """A region as pixels of the shown frame, and the (width, height) in which it is kept, even numbers.

    Grown outwards, within the frame, so that it is a whole multiple of what is kept, which is quick to scale; where the
    frame ends too early for that, some of the last pixels are left out. Only just above the longest side to keep the
    ratio is not a whole number.
    """
    x0, y0, x1, y1 = WHOLE if roi is None else roi
    # 2: grown to even numbers
    pixels = min((x1 - x0) * width + 2, width) * min((y1 - y0) * height + 2, height)
    factor = max(1, math.ceil(math.sqrt(pixels / MAX_PIXELS) - 1e-6))
    odd = factor == 2 and pixels / 4 < _LEAST_PIXELS
    unit = 2 if odd else 2 * factor

    def span(low: float, high: float, size: int) -> tuple[int, int]:
        step = unit if size >= unit else 2
        begin = min(max(math.floor(low * size / 2 + 1e-6) * 2, 0), size - step)
        end = min(max(math.ceil(high * size - 1e-6), begin + 1), size)
        length = min(math.ceil((end - begin) / step), size // step) * step
        begin = min(begin, size - length)
        begin -= begin % 2
        return begin, begin + length

    (left, right), (top, bottom) = span(x0, x1, width), span(y0, y1, height)
    across, down = right - left, bottom - top
    kept = across // factor, down // factor
    if odd:
        ratio = math.sqrt(MAX_PIXELS / (across * down))
        kept = math.floor(across * ratio / 2) * 2, math.floor(down * ratio / 2) * 2
    return (left, top, right, bottom), (max(kept[0], 2), max(kept[1], 2))


def _kept(plane: np.ndarray, width: int, height: int) -> np.ndarray:
    """A copy of a plane, divided by a whole number to a size; halving is what OpenCV does fast."""
    if plane.shape == (height, width):
        return plane.copy()  # a view would keep the whole decoded frame
    while plane.shape[0] % (4 * height) == 0 and plane.shape[1] % (4 * width) == 0:
        plane = cv2.resize(plane, (plane.shape[1] // 2, plane.shape[0] // 2), interpolation=cv2.INTER_AREA)
    out: np.ndarray = cv2.resize(plane, (width, height), interpolation=cv2.INTER_AREA)
    return out


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
        self._scaler = VideoReformatter()
        self._frames: list[Planes] = []
        self._shape: tuple[tuple[int, int], Box, Colour] | None = None
        self._size = (2, 2)  # width, height px of the planes

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
            y, u, v = (np.rot90(plane, turns) for plane in planes)
            planes = y, u, v
        height, width = planes[0].shape
        region, size = region_px(self._roi, width, height)
        if self._shape is None:
            self._shape, self._size = ((width, height), region, colour), size
        x0, y0, x1, y1 = region
        y, u, v = planes
        chroma = slice(y0 // 2, y1 // 2), slice(x0 // 2, x1 // 2)
        return self._sized((y[y0:y1, x0:x1], u[chroma], v[chroma]))

    def _sized(self, planes: Planes) -> Planes:
        """Copies of the planes in the size to keep, that of the first frame: a source may change its own midway."""
        (height, width), (across, down) = planes[0].shape, self._size
        if width % across == 0 and height % down == 0 and width // across == height // down:
            u, v = (_kept(plane, across // 2, down // 2) for plane in planes[1:])
            return _kept(planes[0], across, down), u, v
        given = av.VideoFrame(width, height, "yuv420p")
        for view, plane in zip(views_of(given), planes, strict=True):
            view[:] = plane
        scaled = reformat(self._scaler, given, width=across, height=down, interpolation="BICUBIC")
        y, u, v = (_kept(view, view.shape[1], view.shape[0]) for view in views_of(scaled))
        return y, u, v

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
