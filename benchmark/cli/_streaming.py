"""What `stream` is made of: pieces of sound in time, frames as they are decided, and how late they are."""

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from chdtf.errors import Reject, UserError
from chdtf.schema import FPS, SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from disenttalk_ref.generate.generator import Generator
    from disenttalk_ref.generate.stream import MotionStream
    from disenttalk_ref.render import Portrait


def file_pieces(path: Path, samples: int) -> Iterator[np.ndarray]:
    """Sound of a file in pieces, float32 (samples,) each, the last one shorter. Raises `UserError` without sound."""
    from chdtf.media import read_waveform

    try:
        waveform = read_waveform(path)
    except Reject as error:
        raise UserError(f"{path}: no sound can be read ({error.detail or error})") from error
    if waveform is None:
        raise UserError(f"{path}: has no audio stream")
    for begin in range(0, len(waveform), samples):
        yield waveform[begin : begin + samples]


def raw_pieces(stream: BinaryIO, samples: int) -> Iterator[np.ndarray]:
    """Raw mono 16 kHz s16le sound in pieces, float32 (samples,) each; half a sample at the end is dropped."""
    while data := stream.read(2 * samples):
        yield np.frombuffer(data[: len(data) // 2 * 2], "<i2").astype(np.float32) / 32768


class Sound:
    """The pieces given so far; NumPy takes it as one array, (S,), whenever it asks."""

    def __init__(self) -> None:
        self.pieces: list[np.ndarray] = []
        self.num_samples = 0

    def add(self, piece: np.ndarray) -> None:
        """One more piece; kept as int16, 115 MB an hour."""
        self.pieces.append(np.clip(np.round(piece * 32768.0), -32768, 32767).astype(np.int16))
        self.num_samples += len(piece)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        whole = np.concatenate(self.pieces) if self.pieces else np.zeros(0, np.int16)
        return whole.astype(np.float32) / np.float32(32768)


@dataclass
class Clock:
    """How late frames are: from the end of a frame's own sound to the frame drawn.

    With `pace` pieces are given when a microphone would have them, and a frame is as late as the clock says. Without,
    a frame is as late as the sound that it waited for, and the time since that was given.
    """

    pace: bool
    sound: Sound = field(default_factory=Sound)
    late_s: list[float] = field(default_factory=list)  # of every frame
    idle_s: float = 0.0  # spent waiting for sound
    started: float = 0.0
    ended: float = 0.0

    def pieces(self, given: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        """Pass pieces on, each at its time."""
        self.started = self.ended = time.perf_counter()
        while True:
            asked = time.perf_counter()
            piece = next(given, None)
            if piece is None:
                return
            self.sound.add(piece)
            due = self.started + self.sound.num_samples / SAMPLE_RATE_HZ
            if self.pace:
                time.sleep(max(0.0, due - time.perf_counter()))
            self._ready = due if self.pace else time.perf_counter()
            self.idle_s += time.perf_counter() - asked
            yield piece

    def drawn(self) -> None:
        """One more frame is there."""
        self.ended = time.perf_counter()
        waited_s = self.sound.num_samples / SAMPLE_RATE_HZ - (len(self.late_s) + 1) / FPS
        self.late_s.append(waited_s + self.ended - self._ready)

    def report(self, policy_s: float) -> list[str]:
        """Lines that say what was measured; `policy_s` is the latency that is due without any computing."""
        late = np.array(self.late_s)
        spoken_s, busy_s = self.sound.num_samples / SAMPLE_RATE_HZ, self.ended - self.started - self.idle_s
        how = "sound given in real time" if self.pace else "sound given as fast as it is taken"
        return [
            f"first frame {late[0] + 1 / FPS:.3f} s after the sound began; {how}",
            f"latency of a frame: mean {late.mean():.3f} s, worst {late.max():.3f} s "
            f"(look-ahead alone: {policy_s:.3f} s at most)",
            f"real-time factor {busy_s / spoken_s:.3f}: {busy_s:.2f} s of work for {spoken_s:.2f} s of sound",
        ]


def frames(
    pieces: Iterator[np.ndarray], generator: "Generator", portrait: "Portrait", stream: "MotionStream", clock: Clock
) -> Iterator[np.ndarray]:
    """Frames as they are decided, uint8 (256, 256, 3) RGB."""

    def motions() -> Iterator[Any]:
        for piece in clock.pieces(pieces):
            yield stream.push(piece)
        yield stream.finish()

    for motion in motions():
        if motion.num_frames:
            for frame in generator.draw(portrait, motion):
                clock.drawn()
                yield frame


def portrait_of(image: Path, generator: "Generator") -> "Portrait":
    """The source, ready to be driven. Raises `UserError` for what is no picture, and for its face."""
    from chdtf.media import frames as decoded
    from disenttalk_ref.generate.picture import check_turn, frame_picture, is_picture, read_picture

    try:
        picture = read_picture(image) if is_picture(image) else next(decoded(image), None)
    except Reject as error:
        raise UserError(f"{image}: neither a picture nor a video that can be read") from error
    if picture is None:
        raise UserError(f"{image}: holds no picture")
    portrait = generator.prepare(frame_picture(picture, image.name, "auto"))
    check_turn(portrait.source, image.name)
    return portrait


def standard_input() -> BinaryIO:
    """Bytes of standard input. Raises `UserError` when it is a terminal."""
    if sys.stdin.isatty():
        raise UserError("--audio -: standard input is a terminal; pipe raw mono 16 kHz s16le sound into it")
    return sys.stdin.buffer
