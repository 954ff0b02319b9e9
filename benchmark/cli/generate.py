"""Make one video: a portrait speaks what a sound file says, with the reference model."""

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from benchmark.cli._console import counted, progress, say
from chdtf.errors import Reject, UserError


@dataclasses.dataclass(frozen=True)
class Command:
    """Make one 256x256 video with sound: the face in an image speaks what an audio file says."""

    image: Path
    """Portrait with one face: a PNG or JPEG, or a video, whose first frame is taken."""
    audio: Path
    """Speech: any audio or video file."""
    out: Path = Path("generated.mp4")
    """Where to write the video."""
    checkpoint: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """A trained checkpoint. Default: the committed one."""
    seed: int = 0
    """Seed of the noise that sampling starts from."""

    def run(self) -> int:
        """Generate and write the video."""
        from chdtf.media import frames, read_waveform, write_video
        from chdtf.schema import SAMPLES_PER_FRAME
        from disenttalk_ref.checkpoint import DEFAULT
        from disenttalk_ref.generate.generator import Generator

        for path in (self.image, self.audio):
            if not path.is_file():
                raise UserError(f"{path}: no such file")
        try:
            image = next(frames(self.image), None)
            waveform = read_waveform(self.audio)
        except Reject as error:
            raise UserError(str(error)) from error
        if image is None:
            raise UserError(f"{self.image}: holds no picture")
        num_frames = 0 if waveform is None else len(waveform) // SAMPLES_PER_FRAME
        if waveform is None or num_frames == 0:
            raise UserError(f"{self.audio}: holds no sound, or less than one frame of it (0.04 s)")
        generator = Generator(self.checkpoint or DEFAULT)
        made = generator.frames(image, waveform, num_frames, self.seed)
        with progress("Generating") as report:
            shown = counted(made, lambda done: report(done, num_frames, "frames"))
            write_video(self.out, shown, waveform, metadata={"comment": "synthetic: DisentTalk reference"})
        say(f"{self.out}: {num_frames} frames, {num_frames / 25:.2f} s, synthetic")
        return 0
