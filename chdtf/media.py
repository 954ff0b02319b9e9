"""Probe and decode, through PyAV, which carries FFmpeg's libraries: no system package is needed.

What is written is in `chdtf.encode`.
"""

import contextlib
import dataclasses
import io
import math
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av.video.reformatter import VideoReformatter

from chdtf.colour import reformat
from chdtf.encode import encode_audio, replace_audio, write_video
from chdtf.errors import Reject, is_disk_full
from chdtf.schema import FPS, SAMPLE_RATE_HZ
from chdtf.timing import ConstantRate

__all__ = ["encode_audio", "replace_audio", "write_video"]  # as well as all that is defined here


class UnreadableError(Reject):
    """The file is not media that FFmpeg can decode; decoding it again would not change that."""

    def __init__(self, path: "Path | io.BytesIO", why: object) -> None:
        text = getattr(why, "strerror", None) or str(why)  # FFmpeg's whole message names the folder as well
        name = path.name if isinstance(path, Path) else "clip"
        super().__init__("unreadable", f"{name}: {text.splitlines()[0] if text else type(why).__name__}")


def _source(path: "Path | io.BytesIO") -> "str | io.BytesIO":
    return str(path) if isinstance(path, Path) else path


@dataclasses.dataclass(frozen=True)
class MediaInfo:
    """What a container says of itself. `fps` is the average rate; `duration_s` the longest stream's."""

    width: int
    height: int
    fps: float
    duration_s: float
    video_codec: str
    audio_codec: str | None
    audio_rate_hz: int | None
    size_bytes: int


def probe(path: Path) -> MediaInfo:
    """Read a container's header. Raises `UnreadableError` for anything without a decodable video stream."""
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise UnreadableError(path, "no video stream")
            video = container.streams.video[0]
            audio = container.streams.audio[0] if container.streams.audio else None
            if video.codec_context is None or not (video.width and video.height):
                raise UnreadableError(path, "a video stream of unknown codec or size")
            if audio is not None and audio.codec_context is None:
                audio = None
            lengths = [float(s.duration * s.time_base) for s in (video, audio) if s and s.duration and s.time_base]
            if container.duration:
                lengths.append(container.duration / av.time_base)
            return MediaInfo(
                width=video.width,
                height=video.height,
                fps=float(video.average_rate or video.guessed_rate or 0),
                duration_s=max(lengths, default=0.0),
                video_codec=video.codec_context.name,
                audio_codec=audio.codec_context.name if audio else None,
                audio_rate_hz=audio.rate if audio else None,
                size_bytes=path.stat().st_size,
            )
    except av.error.FFmpegError as error:
        raise UnreadableError(path, error) from error


def _rgb(frame: av.VideoFrame, size: tuple[int, int] | None, reformatter: VideoReformatter) -> np.ndarray:
    turns = round(getattr(frame, "rotation", 0) / 90) % 4
    if size and turns % 2:
        size = (size[1], size[0])
    width, height = size or (frame.width, frame.height)
    image: np.ndarray = reformat(
        reformatter, frame, format="rgb24", width=width, height=height, interpolation="AREA"
    ).to_ndarray()
    return np.ascontiguousarray(np.rot90(image, turns)) if turns else image


@contextlib.contextmanager
def refusing(path: Path | io.BytesIO) -> Iterator[None]:
    """Turn FFmpeg's errors about a file into `UnreadableError`, except that of a full disk."""
    try:
        yield
    except av.error.FFmpegError as error:
        if is_disk_full(error):
            raise
        raise UnreadableError(path, error) from error


_SEEK_MARGINS_S = (0.5, 4.0, 30.0)  # before the wanted frame; a keyframe may need some frames to settle


def decode(
    path: Path | io.BytesIO, start_s: float = 0.0, end_s: float | None = None, threads: int = 1
) -> Iterator[tuple[float, Any]]:
    """Every decoded frame of the first video stream in order: (time_s, `av.VideoFrame`), rotation not applied.

    Times count from the stream's first frame. The first is the one shown at `start_s`, the last the first one at or
    after `end_s`, so that it is known how long each one in between lasts. Memory does not grow with the length. One
    thread costs the least, where other processes have work for the other cores; `threads` = 0: as many as there are
    cores. Raises FFmpeg's errors; wrap in `refusing`.
    """
    for margin_s in (*_SEEK_MARGINS_S, None):
        if margin_s is None or start_s > 2 * margin_s:
            found = _decode_from(path, start_s, end_s, margin_s, threads)
            first = next(found, None)
            if first is not None and (margin_s is None or first[0] <= start_s + 1e-6):
                yield first
                yield from found
                return
            found.close()


def _decode_from(
    path: Path | io.BytesIO, start_s: float, end_s: float | None, margin_s: float | None, threads: int
) -> Generator[tuple[float, Any], None, None]:
    with av.open(_source(path)) as container:
        if not container.streams.video:
            raise UnreadableError(path, "no video stream")
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = threads
        origin = float((stream.start_time or 0) * (stream.time_base or 0))
        if margin_s is not None:
            container.seek(int((origin + start_s - margin_s) / stream.time_base), stream=stream)
        previous: tuple[float, av.VideoFrame] | None = None
        for frame in container.decode(stream):
            if frame.pts is None:
                continue
            time_s = float(frame.pts * stream.time_base) - origin
            if time_s <= start_s:
                previous = (time_s, frame)
                continue
            if previous is not None:
                yield previous
                previous = None
            yield time_s, frame
            if end_s is not None and time_s >= end_s:
                return
        if previous is not None:
            yield previous


def fit_size(width: int, height: int, longest_side_px: int | None) -> tuple[int, int] | None:
    """(width, height) with the longest side at most `longest_side_px`, or None when no scaling is needed."""
    if longest_side_px is None or max(width, height) <= longest_side_px:
        return None
    ratio = longest_side_px / max(width, height)
    return max(2, round(width * ratio / 2) * 2), max(2, round(height * ratio / 2) * 2)


def frames(
    path: Path | io.BytesIO,
    fps: float = FPS,
    start_s: float = 0.0,
    end_s: float | None = None,
    longest_side_px: int | None = None,
    threads: int = 0,
) -> Iterator[np.ndarray]:
    """Frames at a constant rate, by timestamps: output k shows what the source shows at `start_s + k / fps`.

    Yields uint8 (H, W, 3) RGB, the size of the source or scaled down to `longest_side_px`; rotation in the metadata is
    applied. Sources at `fps` pass through one to one; `ConstantRate` is the rule. `threads` as
    for `decode`. Raises `UnreadableError`.
    """
    rate = ConstantRate(start_s, fps, math.inf if end_s is None else end_s)
    reformatter = VideoReformatter()
    pending: Any = None
    image: np.ndarray | None = None

    def shown() -> np.ndarray:
        return _rgb(pending, fit_size(pending.width, pending.height, longest_side_px), reformatter)

    with refusing(path):
        given = 0
        for time_s, frame in decode(path, start_s, end_s, threads):
            for _ in range(rate.add(time_s)):
                image = shown() if image is None else image
                yield image
                given += 1
            if rate.last_s == time_s:
                pending, image = frame, None
        for _ in range(rate.end() - given):
            image = shown() if image is None else image
            yield image


def read_frames(path: Path | io.BytesIO, fps: float = FPS, size_px: int | None = None) -> np.ndarray:
    """All frames at a constant rate: uint8 (T, H, W, 3) RGB, scaled to (size_px, size_px) when given."""
    out = [
        frame if size_px is None or frame.shape[:2] == (size_px, size_px) else resize(frame, size_px)
        for frame in frames(path, fps)
    ]
    if not out:
        raise UnreadableError(path, "no frames")
    return np.stack(out)


def resize(image: np.ndarray, size_px: int) -> np.ndarray:
    """Scale (H, W, 3) to a square of `size_px`, with the filter that suits the direction."""
    method = cv2.INTER_AREA if max(image.shape[:2]) > size_px else cv2.INTER_CUBIC
    scaled: np.ndarray = cv2.resize(image, (size_px, size_px), interpolation=method)
    return scaled


_GAP_S = 0.06  # timestamps that are off by more mean that sound is missing there, or is there twice


class _Placed:
    """Sound at one rate, mono, each frame where its timestamp says: gaps become silence, overlaps are cut off."""

    def __init__(self, rate_hz: int) -> None:
        self.first_s = 0.0
        self._rate_hz = rate_hz
        self._parts: list[np.ndarray] = []
        self._kind: tuple[Any, ...] | None = None
        self._resampler: Any = None
        self._next_s: float | None = None

    def add(self, frame: Any) -> None:
        kind = frame.format.name, frame.layout.name, frame.sample_rate
        time_s = self._next_s or 0.0 if frame.time is None else float(frame.time)
        if self._next_s is None:
            self.first_s = time_s
        elif kind != self._kind or abs(time_s - self._next_s) > _GAP_S:
            self._flush()
            whole = self.waveform()
            missing = round((time_s - self.first_s) * self._rate_hz) - len(whole)
            self._parts = [np.pad(whole, (0, missing)) if missing > 0 else whole[: len(whole) + missing]]
        else:
            time_s = self._next_s  # small jitter must not add up, nor be followed
        if self._resampler is None:
            self._kind = kind
            self._resampler = av.AudioResampler(format="flt", layout="mono", rate=self._rate_hz)
        self._next_s = time_s + frame.samples / frame.sample_rate
        self._take(self._resampler.resample(frame))

    def _take(self, frames: list[Any]) -> None:
        self._parts += [frame.to_ndarray().reshape(-1) for frame in frames]

    def _flush(self) -> None:
        if self._resampler is not None:
            self._take(self._resampler.resample(None))
            self._resampler = None

    def waveform(self) -> np.ndarray:
        """All of it, float32 (S,), from `first_s` on."""
        self._flush()
        return np.concatenate(self._parts).astype(np.float32) if self._parts else np.zeros(0, np.float32)


def read_waveform(
    path: Path | io.BytesIO, rate_hz: int = SAMPLE_RATE_HZ, start_s: float = 0.0, end_s: float | None = None
) -> np.ndarray | None:
    """Mono float32 (S,) in [-1, 1] of the first audio stream, or None when there is none.

    Time 0 is the first video frame, or the first sample where there is no video: a stream that starts later is padded
    with silence, and so is a gap in its timestamps, so that lips and sound stay together. Raises `UnreadableError`.
    """
    sound = _Placed(rate_hz)
    with refusing(path), av.open(_source(path)) as container:
        if not container.streams.audio:
            return None
        stream = container.streams.audio[0]
        origin = 0.0
        if container.streams.video:
            video = container.streams.video[0]
            origin = float((video.start_time or 0) * (video.time_base or 0))
        if start_s > 2:  # a second early: codecs need some frames to settle
            container.seek(int((origin + start_s - 1) / stream.time_base), stream=stream)
        for frame in container.decode(stream):
            if end_s is not None and frame.time is not None and frame.time - origin > end_s:
                break
            sound.add(frame)
    wave = sound.waveform()
    lead = round((sound.first_s - origin - start_s) * rate_hz)
    wave = np.pad(wave, (lead, 0)) if lead > 0 else wave[-lead or None :]
    return wave[: None if end_s is None else round(end_s * rate_hz) - round(start_s * rate_hz)]


def fit_length(waveform: np.ndarray, num_samples: int) -> np.ndarray:
    """Cut or pad with silence to exactly `num_samples`."""
    return np.pad(waveform[:num_samples], (0, max(0, num_samples - len(waveform))))
