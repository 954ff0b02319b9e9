"""Probe, decode, resample and encode, through PyAV, which carries FFmpeg's libraries: no system package is needed."""

import dataclasses
import fractions
import io
import itertools
import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from chdtf.errors import Reject, is_disk_full
from chdtf.files import atomic_path
from chdtf.schema import FPS, SAMPLE_RATE_HZ

log = logging.getLogger(__name__)


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


def _rgb(frame: av.VideoFrame, size: tuple[int, int] | None) -> np.ndarray:
    turns = round(getattr(frame, "rotation", 0) / 90) % 4
    if size and turns % 2:
        size = (size[1], size[0])
    width, height = size or (frame.width, frame.height)
    image: np.ndarray = frame.to_ndarray(format="rgb24", width=width, height=height, interpolation="AREA")
    return np.ascontiguousarray(np.rot90(image, turns)) if turns else image


def _decoded(path: Path | io.BytesIO, start_s: float, end_s: float | None) -> Iterator[tuple[float, Any]]:
    """(time_s, frame) of the first video stream, beginning with the frame shown at `start_s`."""
    with av.open(_source(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        origin = float((stream.start_time or 0) * (stream.time_base or 0))
        if start_s > 1:
            container.seek(int((origin + start_s - 0.5) / stream.time_base), stream=stream)
        previous: tuple[float, av.VideoFrame] | None = None
        for frame in container.decode(stream):
            if frame.pts is None:
                continue
            time_s = float(frame.pts * stream.time_base) - origin
            if end_s is not None and time_s >= end_s:
                break
            if time_s <= start_s:
                previous = (time_s, frame)
                continue
            if previous is not None:
                yield previous
                previous = None
            yield time_s, frame
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
) -> Iterator[np.ndarray]:
    """Frames at a constant rate, by timestamps: output k shows what the source shows at `start_s + k / fps`.

    Yields uint8 (H, W, 3) RGB, the size of the source or scaled down to `longest_side_px`; rotation in the metadata is
    applied. Sources at `fps` pass through one to one. Raises `UnreadableError`.
    """
    step = 1.0 / fps
    slack = 0.5 * step  # nearest frame, so that jittered timestamps of a constant-rate source repeat and drop none
    index = 0
    pending: tuple[float, Any] | None = None
    image: np.ndarray | None = None
    last_gap = step
    try:
        for time_s, frame in itertools.chain(_decoded(path, start_s, end_s), [(None, None)]):
            if pending is not None:
                until = time_s if time_s is not None else pending[0] + min(last_gap, 1.0)
                if time_s is not None:
                    last_gap = time_s - pending[0]
                image = None
                while (index * step) + start_s + (slack if time_s is not None else 0.0) < until - 1e-6:
                    if image is None:
                        size = fit_size(pending[1].width, pending[1].height, longest_side_px)
                        image = _rgb(pending[1], size)
                    yield image
                    index += 1
            if time_s is not None:
                pending = (time_s, frame)
    except av.error.FFmpegError as error:
        if is_disk_full(error):
            raise
        raise UnreadableError(path, error) from error


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


def read_waveform(
    path: Path | io.BytesIO, rate_hz: int = SAMPLE_RATE_HZ, start_s: float = 0.0, end_s: float | None = None
) -> np.ndarray | None:
    """Mono float32 (S,) in [-1, 1] of the first audio stream, or None when there is none.

    Time 0 is the first video frame, or the first sample where there is no video: a stream that starts later is padded
    with silence, so that lips and sound stay together. Raises `UnreadableError`.
    """
    try:
        with av.open(_source(path)) as container:
            if not container.streams.audio:
                return None
            stream = container.streams.audio[0]
            origin = 0.0
            if container.streams.video:
                video = container.streams.video[0]
                origin = float((video.start_time or 0) * (video.time_base or 0))
            if start_s > 2:  # a second early: codecs need some frames to settle
                container.seek(int((origin + start_s - 1) / stream.time_base), stream=stream)
            resampler = av.AudioResampler(format="flt", layout="mono", rate=rate_hz)
            parts: list[np.ndarray] = []
            first_s: float | None = None
            for frame in container.decode(stream):
                if first_s is None:
                    first_s = 0.0 if frame.time is None else float(frame.time)
                if end_s is not None and frame.time is not None and frame.time - origin > end_s:
                    break
                parts += [out.to_ndarray().reshape(-1) for out in resampler.resample(frame)]
            parts += [out.to_ndarray().reshape(-1) for out in resampler.resample(None)]
    except av.error.FFmpegError as error:
        raise UnreadableError(path, error) from error
    wave = np.concatenate(parts).astype(np.float32) if parts else np.zeros(0, np.float32)
    lead = round(((first_s or 0.0) - origin - start_s) * rate_hz)
    wave = np.pad(wave, (lead, 0)) if lead > 0 else wave[-lead or None :]
    return wave[: None if end_s is None else round(end_s * rate_hz) - round(start_s * rate_hz)]


def fit_length(waveform: np.ndarray, num_samples: int) -> np.ndarray:
    """Cut or pad with silence to exactly `num_samples`."""
    return np.pad(waveform[:num_samples], (0, max(0, num_samples - len(waveform))))


def write_video(
    path: Path,
    images: Iterable[np.ndarray],
    waveform: np.ndarray | None = None,
    fps: float = FPS,
    rate_hz: int = SAMPLE_RATE_HZ,
    crf: int = 17,
    metadata: dict[str, str] | None = None,
) -> int:
    """Encode uint8 (H, W, 3) RGB frames, and mono float32 audio, as H.264 + AAC in mp4; returns the frame count.

    One thread and no wall-clock metadata: the same input gives the same bytes. Written whole or not at all.
    """
    count = 0
    with atomic_path(path) as temporary, av.open(str(temporary), "w", options={"movflags": "+faststart"}) as container:
        container.metadata.update(metadata or {})
        video: Any = None
        audio: Any = None
        for image in images:
            if video is None:
                rate = fractions.Fraction(fps).limit_denominator(1001)
                options = {"crf": str(crf), "preset": "veryfast", "g": str(round(fps)), "threads": "1"}
                video = container.add_stream("libx264", rate=rate, options=options)
                video.height, video.width = image.shape[:2]
                video.pix_fmt = "yuv420p"
                if waveform is not None:
                    audio = container.add_stream("aac", rate=rate_hz, layout="mono", options={"b": "96000"})
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            container.mux(video.encode(frame))
            count += 1
        if video is None:
            raise ValueError(f"{path}: no frames to write")
        container.mux(video.encode(None))
        if audio is not None and waveform is not None:
            _mux_audio(container, audio, waveform, rate_hz)
    return count


def replace_audio(source: Path, target: Path, waveform: np.ndarray, rate_hz: int = SAMPLE_RATE_HZ) -> None:
    """Write the video stream of `source`, packet by packet (not encoded again), with a new mono float32 sound."""
    with (
        atomic_path(target) as temporary,
        av.open(str(source)) as given,
        av.open(str(temporary), "w", options={"movflags": "+faststart"}) as container,
    ):
        video_in = given.streams.video[0]
        video = container.add_stream_from_template(video_in)
        audio = container.add_stream("aac", rate=rate_hz, layout="mono", options={"b": "96000"})
        for packet in given.demux(video_in):
            if packet.dts is not None:
                packet.stream = video
                container.mux(packet)
        _mux_audio(container, audio, waveform, rate_hz)


def _mux_audio(container: Any, stream: Any, waveform: np.ndarray, rate_hz: int) -> None:
    samples = np.ascontiguousarray(waveform, dtype=np.float32)
    for begin in range(0, len(samples), 1024):
        frame = av.AudioFrame.from_ndarray(samples[None, begin : begin + 1024], format="fltp", layout="mono")
        frame.sample_rate = rate_hz
        frame.pts = begin
        frame.time_base = fractions.Fraction(1, rate_hz)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def encode_audio(waveform: np.ndarray, rate_hz: int = SAMPLE_RATE_HZ, codec: str = "flac") -> bytes:
    """Mono float32 (S,) in [-1, 1] as 16-bit FLAC, or WAV with `codec="wav"`; lossless after rounding to 16 bits."""
    pcm = np.clip(np.round(np.asarray(waveform, np.float64) * 32768), -32768, 32767).astype(np.int16)
    sink = io.BytesIO()
    with av.open(sink, "w", format=codec) as container:
        stream = container.add_stream("pcm_s16le" if codec == "wav" else codec, rate=rate_hz, layout="mono")
        for begin in range(0, len(pcm), 4096):
            frame = av.AudioFrame.from_ndarray(pcm[None, begin : begin + 4096], format="s16", layout="mono")
            frame.sample_rate = rate_hz
            frame.pts = begin
            frame.time_base = fractions.Fraction(1, rate_hz)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return sink.getvalue()
