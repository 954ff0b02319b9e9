"""Encode pictures and sound, through PyAV; every file is written whole or not at all."""

import fractions
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import av
import numpy as np

from chdtf.files import atomic_path
from chdtf.schema import FPS, SAMPLE_RATE_HZ

# FFmpeg's faster search: a third of the time, and as near to the sound at 16 kHz (44 dB)
_AAC = {"b": "96000", "aac_coder": "fast"}


def write_video(
    path: Path,
    images: Iterable[np.ndarray],
    waveform: np.ndarray | None = None,
    fps: float = FPS,
    rate_hz: int = SAMPLE_RATE_HZ,
    crf: int = 17,
    metadata: dict[str, str] | None = None,
) -> int:
    """Encode frames, and mono float32 audio, as H.264 + AAC in mp4; returns the frame count.

    Frames are uint8 (H, W, 3) RGB, or (H * 3 / 2, W) I420 in the colours of `chdtf.colour`, which the file declares.
    One thread and no wall-clock metadata: the same input gives the same bytes. Written whole or not at all.
    """
    count = 0
    with atomic_path(path) as temporary, av.open(str(temporary), "w", options={"movflags": "+faststart"}) as container:
        container.metadata.update(metadata or {})
        video: Any = None
        audio: Any = None
        for image in images:
            planar = image.ndim == 2
            if video is None:
                height, width = image.shape[:2]
                video = _h264_stream(container, width, height * 2 // 3 if planar else height, fps, crf)
                if waveform is not None:
                    audio = container.add_stream("aac", rate=rate_hz, layout="mono", options=_AAC)
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="yuv420p" if planar else "rgb24")
            container.mux(video.encode(frame))
            count += 1
        if video is None:
            raise ValueError(f"{path}: no frames to write")
        container.mux(video.encode(None))
        if audio is not None and waveform is not None:
            _mux_audio(container, audio, waveform, rate_hz)
    return count


def _h264_stream(container: Any, width: int, height: int, fps: float, crf: int) -> Any:
    options = {"crf": str(crf), "preset": "veryfast", "g": str(round(fps)), "threads": "1"}
    stream = container.add_stream("libx264", rate=fractions.Fraction(fps).limit_denominator(1001), options=options)
    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
    # FFmpeg's numbers: matrix smpte170m (BT.601), range limited, primaries and transfer BT.709
    context = stream.codec_context
    context.colorspace, context.color_range, context.color_primaries, context.color_trc = 6, 1, 1, 1
    return stream


def replace_audio(source: Path, target: Path, waveform: np.ndarray, rate_hz: int = SAMPLE_RATE_HZ) -> None:
    """Write the video stream of `source`, packet by packet (not encoded again), with a new mono float32 sound."""
    with (
        atomic_path(target) as temporary,
        av.open(str(source)) as given,
        av.open(str(temporary), "w", options={"movflags": "+faststart"}) as container,
    ):
        video_in = given.streams.video[0]
        video = container.add_stream_from_template(video_in)
        audio = container.add_stream("aac", rate=rate_hz, layout="mono", options=_AAC)
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
