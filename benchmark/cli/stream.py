"""Speech in as it is spoken, video out as it is decided, with its latency."""

import dataclasses
import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import tyro

from benchmark.cli._console import say
from chdtf.errors import UserError
from chdtf.schema import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from disenttalk_ref.generate.generator import Generator

MOST_CHUNK_MS = 10_000


@dataclasses.dataclass(frozen=True)
class Command:
    """A face speaks while the sound arrives: frames are decided and drawn piece by piece. Prints how late they are."""

    image: Path
    """The source: a picture of a face, or a video, whose first frame is taken."""
    audio: str
    """Speech: any audio or video file, or - for raw mono 16 kHz s16le sound on standard input."""
    out: Path = Path("stream.mp4")
    """Where to write the video, .mp4."""
    checkpoint: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """A trained checkpoint, of log-mel features. Default: the committed one."""
    chunk_ms: int = 40
    """Length of the pieces in which the sound is given, 1 to 10,000 ms."""
    pace: bool = False
    """Give a file's pieces in real time, as a microphone would. Default: as fast as they are taken."""
    steps: Annotated[int | None, tyro.conf.arg(metavar="INT")] = None
    """How many times the network is asked. Default: that of the sampler configuration."""
    seed: int = 0
    """Seed of the noise that sampling starts from."""

    def run(self) -> int:
        """Stream, draw and write; then say how late frames were."""
        from benchmark.cli import _streaming as parts
        from chdtf.media import write_video
        from disenttalk_ref.generate.stream import MotionStream
        from disenttalk_ref.render.watermark import METADATA

        self._check()
        generator = self._generator()
        portrait = parts.portrait_of(self.image, generator)
        samples = self.chunk_ms * SAMPLE_RATE_HZ // 1000
        MotionStream(generator.checkpoint, generator.config).push(np.zeros(SAMPLE_RATE_HZ, np.float32))  # warm-up
        stream = MotionStream(generator.checkpoint, generator.config)
        clock = parts.Clock(self.pace)
        given = (
            parts.raw_pieces(parts.standard_input(), samples)
            if self.audio == "-"
            else parts.file_pieces(Path(self.audio), samples)
        )
        made = parts.frames(given, generator, portrait, stream, clock)
        first = next(made, None)
        if first is None:
            raise UserError(f"--audio {self.audio}: holds less than one frame of sound (0.04 s)")
        shown, sound = itertools.chain([first], made), clock.sound
        write_video(self.out, shown, sound, metadata=METADATA)  # type: ignore[arg-type]
        for line in clock.report(stream.latency_s):
            say(line)
        say(f"{self.out}: {len(clock.late_s)} frames, {len(clock.late_s) / 25:.2f} s, synthetic")
        return 0

    def _check(self) -> None:
        """Raise `UserError` for what is wrong, before anything slow is done."""
        sources = [self.image] if self.audio == "-" else [self.image, Path(self.audio)]
        for path in sources:
            if not path.is_file():
                raise UserError(f"{path}: no such file")
            if self.out.exists() and self.out.samefile(path):
                raise UserError(f"--out {self.out}: would replace an input; name another file")
        if self.out.suffix.lower() != ".mp4":
            raise UserError(f"--out {self.out}: name a file that ends in .mp4")
        if not 1 <= self.chunk_ms <= MOST_CHUNK_MS:
            raise UserError(f"--chunk-ms {self.chunk_ms}: give 1 to {MOST_CHUNK_MS:,} ms")
        if self.pace and self.audio == "-":
            raise UserError("--pace: standard input sets its own pace; leave --pace out")

    def _generator(self) -> "Generator":
        from disenttalk_ref.checkpoint import DEFAULT
        from disenttalk_ref.generate.generator import Generator
        from disenttalk_ref.generate.motion import SamplerConfig

        config = SamplerConfig(seed=self.seed)
        if self.steps is not None:
            config = dataclasses.replace(config, steps=self.steps)
        return Generator(self.checkpoint or DEFAULT, config)
