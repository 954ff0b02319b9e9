"""What a video drawn over another takes from it: its frame rate and its sound."""

import heapq
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np

from chdtf.files import atomic_path
from chdtf.media import UnreadableError, read_waveform, refusing, replace_audio
from chdtf.schema import FPS

# What an mp4 may hold as it is; other sound is encoded anew as AAC
_KEPT = ("aac", "mp3", "mp2", "ac3", "eac3", "opus", "flac", "alac")
_RATE_HZ = 48_000
_FASTEST_FPS = 60.0
_JITTER = 0.2  # of the usual time between frames; containers that count in milliseconds have some


def constant_rate(path: Path) -> tuple[float, bool]:
    """The constant rate to show a video at, frames a second, and whether its own rate varies.

    That of the median time between its frames, at most 60; from the container, nothing is decoded. More than 1 % of
    the frames earlier or later than that by a fifth of it: the rate varies. Raises `UnreadableError`.
    """
    with refusing(path), av.open(str(path)) as container:
        stream = container.streams.video[0]
        unit_s = float(stream.time_base)
        times = np.sort([packet.pts * unit_s for packet in container.demux(stream) if packet.pts is not None])
        declared = float(stream.average_rate or stream.guessed_rate or FPS)
    steps = np.diff(times)
    steps = steps[steps > 0]
    if not len(steps):
        return min(declared, _FASTEST_FPS), False
    usual = float(np.median(steps))
    if float(np.mean(np.abs(steps - usual) > _JITTER * usual)) > 0.01:
        return min(round(1 / usual, 2), _FASTEST_FPS), True
    return min(declared, _FASTEST_FPS), False


def count_frames(path: Path) -> int:
    """Frames of a video, from the container; nothing is decoded. Raises `UnreadableError`."""
    with refusing(path), av.open(str(path)) as container:
        if not container.streams.video:
            raise UnreadableError(path, "no video stream")
        return sum(1 for packet in container.demux(container.streams.video[0]) if packet.pts is not None)


def add_sound(pictures: Path, source: Path, target: Path) -> None:
    """Write the video stream of `pictures` with the first sound of `source`, which starts with that one's pictures.

    Neither is encoded again where an mp4 can hold the sound; otherwise it becomes mono AAC. Without sound `target`
    is a copy of `pictures`. Written whole or not at all; memory does not grow with the length, except for sound that
    must be encoded (200 kB a second). Raises `UnreadableError`.
    """
    with refusing(source), av.open(str(source)) as heard:
        codec = heard.streams.audio[0].codec_context if heard.streams.audio else None
        kept = codec is None or codec.name.removesuffix("float") in _KEPT
    waveform = None if kept else read_waveform(source, _RATE_HZ)
    if waveform is not None:
        replace_audio(pictures, target, waveform, _RATE_HZ)
        return
    with (
        refusing(source),
        atomic_path(target) as temporary,
        av.open(str(pictures)) as seen,
        av.open(str(source)) as heard,
        av.open(str(temporary), "w", options={"movflags": "+faststart"}) as container,
    ):
        streams = [_packets(seen, seen.streams.video[0], container, 0.0)]
        if heard.streams.audio:
            video = heard.streams.video[0]
            origin_s = float((video.start_time or 0) * (video.time_base or 0))
            streams.append(_packets(heard, heard.streams.audio[0], container, origin_s))
        for _, _, packet in heapq.merge(*streams, key=lambda item: item[:2]):
            container.mux(packet)


def _packets(source: Any, stream: Any, container: Any, origin_s: float) -> Iterator[tuple[float, int, Any]]:
    """(time_s, stream number, packet) of a stream, for `container`, times counted from `origin_s`."""
    out = container.add_stream_from_template(stream)

    def given() -> Iterator[tuple[float, int, Any]]:
        shift = round(origin_s / stream.time_base)
        for packet in source.demux(stream):
            if packet.dts is None:
                continue
            packet.dts -= shift
            packet.pts = packet.dts if packet.pts is None else packet.pts - shift
            time_s = float(packet.dts * packet.time_base)
            if time_s < -0.1 and stream.type == "audio":
                continue  # sound from before the first picture
            packet.stream = out
            yield time_s, out.index, packet

    return given()
