"""Where somebody speaks: WebRTC's voice activity detector over the sound, in pieces, so that length costs no memory."""

import dataclasses
import itertools
import logging
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np

from chdtf.schema import FPS, SAMPLE_RATE_HZ

log = logging.getLogger(__name__)

VAD_FRAME = SAMPLE_RATE_HZ * 30 // 1000  # 480 samples: 30 ms, the longest that the detector takes
VAD_FRAME_S = VAD_FRAME / SAMPLE_RATE_HZ
_NEAR_S = 2.0  # how far the border between two pieces moves to fall between words
_MIN_SPEECH_S = 0.3  # shorter: a click or a rustle
_SMOOTH = 11  # frames, 0.33 s: a voice holds the majority of them, a click does not

Segment = tuple[float, float]  # begin and end in seconds


def voiced(waveform: np.ndarray, mode: int = 2) -> np.ndarray:
    """Whether WebRTC's detector calls each 30 ms speech: (S,) float in [-1, 1] at 16 kHz -> bool (S // 480,).

    `mode` is its aggressiveness, 0 to 3. It takes loud music for speech; it tells voices from silence and steady noise.
    """
    return _Listener(mode).hear(waveform)


class _Listener:
    """The detector over a sound that comes in pieces; it adapts to noise, so one serves one source."""

    def __init__(self, mode: int) -> None:
        import webrtcvad

        self._detector = webrtcvad.Vad(mode)
        self._rest = np.zeros(0, np.int16)

    def hear(self, waveform: np.ndarray) -> np.ndarray:
        """Verdicts on the whole frames that are complete with this piece."""
        pcm = (np.clip(waveform, -1, 1) * 32767).astype(np.int16)
        pcm = np.concatenate([self._rest, pcm]) if len(self._rest) else pcm
        count = len(pcm) // VAD_FRAME
        self._rest = pcm[count * VAD_FRAME :]
        blocks = pcm[: count * VAD_FRAME].reshape(count, VAD_FRAME)
        return np.array([self._detector.is_speech(block.tobytes(), SAMPLE_RATE_HZ) for block in blocks], bool)


def sound_chunks(path: Path, start_s: float, end_s: float) -> Iterator[np.ndarray]:
    """The first audio stream from `start_s` to `end_s`, mono float32 at 16 kHz, in pieces of some tens of milliseconds.

    Time counts from the first video frame, as in `chdtf.media.read_waveform`; sound that begins later is padded with
    silence. Where decoding fails, the sound ends; whoever needs it whole says so.
    """
    try:
        with av.open(str(path)) as container:
            yield from _decoded(container, start_s, end_s)
    except av.error.FFmpegError as error:
        log.info("%s: the sound breaks off (%s)", path.name, error)


def _decoded(container: Any, start_s: float, end_s: float) -> Iterator[np.ndarray]:
    if not container.streams.audio:
        return
    stream = container.streams.audio[0]
    origin_s = 0.0
    if container.streams.video:
        video = container.streams.video[0]
        origin_s = float((video.start_time or 0) * (video.time_base or 0))
    if start_s > 2:
        container.seek(int((origin_s + start_s - 1) / stream.time_base), stream=stream)
    resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE_HZ)
    skip: int | None = None
    left = round((end_s - start_s) * SAMPLE_RATE_HZ)
    for frame in container.decode(stream):
        if skip is None:
            skip = round((start_s + origin_s - float(frame.time or 0.0)) * SAMPLE_RATE_HZ)
            if skip < 0:
                yield np.zeros(min(-skip, left), np.float32)
                left, skip = left + skip, 0
        for piece in resampler.resample(frame):
            wave = piece.to_ndarray().reshape(-1)
            drop = min(skip, len(wave))
            skip -= drop
            wave = wave[drop : drop + max(left, 0)]
            left -= len(wave)
            if len(wave):
                yield wave
        if left <= 0:
            return


def speech_segments(path: Path, start_s: float, end_s: float, mode: int = 2) -> list[Segment]:
    """When somebody speaks between `start_s` and `end_s`, in seconds of the source, in order and apart.

    Memory does not grow with the sound but for a byte per 30 ms. A file whose sound cannot be opened has no speech.
    """
    listener = _Listener(mode)
    parts = [listener.hear(chunk) for chunk in sound_chunks(path, start_s, end_s)]
    heard = np.concatenate(parts) if parts else np.zeros(0, bool)
    runs = _runs(smoothed(heard))
    return [(start_s + a, min(start_s + b, end_s)) for a, b in runs if b - a >= _MIN_SPEECH_S]


def smoothed(heard: np.ndarray) -> np.ndarray:
    """Majority over 0.33 s of the verdicts (N,), the ends repeated."""
    if not len(heard):
        return heard
    half = _SMOOTH // 2
    total = np.convolve(np.pad(heard.astype(np.int32), half, mode="edge"), np.ones(_SMOOTH, np.int32), "valid")
    majority: np.ndarray = total > half
    return majority


def _runs(flags: np.ndarray) -> list[Segment]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return [(float(a) * VAD_FRAME_S, float(b) * VAD_FRAME_S) for a, b in edges.reshape(-1, 2)]


@dataclasses.dataclass(frozen=True)
class Stretch:
    """A stretch of a source to make clips of; `is_pause`: nobody speaks in it."""

    end_s: float
    is_pause: bool


@dataclasses.dataclass(frozen=True)
class Speech:
    """When somebody speaks within an interval of a source, and how that divides it.

    Attributes:
        segments: (begin, end) in seconds of the source, in order and apart.
        start_s: where the interval begins.
        end_s: where it ends.
        max_pause_s: longer silences divide.
        margin_s: what speech keeps of such a silence.

    """

    segments: Sequence[Segment]
    start_s: float
    end_s: float
    max_pause_s: float
    margin_s: float

    def stretch(self, begin_s: float) -> Stretch:
        """The stretch that begins at `begin_s`: speech with its short pauses, or what is left of a long pause."""
        # the end of a word that began in the shot before is no speech of this one
        count = sum(b <= begin_s or (a < begin_s and b <= begin_s + _MIN_SPEECH_S) for a, b in self.segments)
        ahead = self.segments[count:]
        last_s = self.segments[count - 1][1] if count else self.start_s
        next_s = ahead[0][0] if ahead else self.end_s
        if next_s - last_s > self.max_pause_s and begin_s < next_s - (self.margin_s if ahead else 0.0):
            return Stretch(next_s - self.margin_s if ahead else self.end_s, is_pause=True)
        following = [a for a, _ in ahead[1:]] + [self.end_s]
        for (_, spoken_s), then_s in zip(ahead, following, strict=False):
            if then_s - spoken_s > self.max_pause_s:
                return Stretch(spoken_s + self.margin_s, is_pause=False)
        return Stretch(self.end_s, is_pause=False)

    def cut_before(self, begin_s: float, end_s: float, max_s: float) -> float:
        """Where the first of the fewest pieces of at most `max_s` from `begin_s` to `end_s` ends.

        The pieces are alike, on the 25 fps grid that begins at `begin_s`; a border moves by up to `_NEAR_S` into the
        longest gap between words there, unless that made one piece more.
        """
        first_s = pieces(begin_s, end_s, max_s)[0][1]
        count = len(pieces(begin_s, end_s, max_s))
        if count == 1:
            return end_s
        low = max(first_s - _NEAR_S, end_s - (count - 1) * max_s)
        high = min(first_s + _NEAR_S, begin_s + max_s)
        gaps = [(b, c) for (_, b), (c, _) in itertools.pairwise(self.segments) if low < (b + c) / 2 < high]
        if not gaps:
            return first_s
        silent_s, spoken_s = max(gaps, key=lambda gap: gap[1] - gap[0])
        moved_s = begin_s + round(((silent_s + spoken_s) / 2 - begin_s) * FPS) / FPS
        return moved_s if low <= moved_s <= high else first_s


def pieces(start_s: float, end_s: float, max_clip_s: float) -> list[Segment]:
    """Cut an interval into the fewest pieces of at most `max_clip_s`, alike in length to a frame of 1/25 s.

    Equal pieces leave no short remainder behind. Inner borders lie on the 25 fps grid that begins at `start_s`, so the
    pieces together hold every frame once.
    """
    length_frames = (end_s - start_s) * FPS
    count = max(1, math.ceil(length_frames / math.floor(max_clip_s * FPS) - 1e-9))
    borders = [start_s + math.floor(i * length_frames / count) / FPS for i in range(count)]
    return list(zip(borders, [*borders[1:], end_s], strict=True))
