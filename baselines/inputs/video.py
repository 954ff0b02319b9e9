"""`video`: the clip with its sound as an mp4."""

import dataclasses
from pathlib import Path

from baselines.inputs import Input, check_choice, check_fps
from baselines.inputs.crops import CROPS, cropped
from baselines.inputs.source import Source, frame_numbers
from chdtf.media import write_video
from chdtf.schema import FPS

_CRF = 8  # encoded a second time, so near to the first that it does not show


@dataclasses.dataclass(frozen=True)
class Derive(Input):
    """The dataset's own bytes at 25 fps and without a crop; else encoded again, frames nearest in time."""

    version = 1  # without an annotation: no option
    crop: str = "frame"
    fps: float = FPS

    def __post_init__(self) -> None:
        check_choice("crop", self.crop, CROPS)
        check_fps(self.fps)

    @property
    def suffix(self) -> str:
        """.mp4."""
        return ".mp4"

    def derive(self, source: Source, out: Path) -> None:
        """Write the video. Raises `Unavailable` (`no_face`) when a crop needs a face and no frame shows one."""
        if self.crop == "frame" and self.fps == FPS:
            source.clip.write_video(out)
            return
        frames = cropped(source, self.crop)
        shown = frame_numbers(source.num_frames, FPS, self.fps)
        write_video(out, (frames[number] for number in shown), source.waveform, fps=self.fps, crf=_CRF)
