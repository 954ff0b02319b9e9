"""`frame_folder`: the clip's frames as pictures 000001, 000002, ... in a folder that holds nothing else."""

import dataclasses
from pathlib import Path

from baselines.inputs import Input, check_choice, check_fps
from baselines.inputs.crops import CROPS, cropped, write_picture
from baselines.inputs.image import SUFFIXES
from baselines.inputs.source import Source, frame_numbers
from chdtf.schema import FPS


@dataclasses.dataclass(frozen=True)
class Derive(Input):
    """Every frame, in time: at another rate than 25 fps the nearest ones. A crop is steady over the clip."""

    version = 1  # without an annotation: no option
    crop: str = "frame"
    fps: float = FPS
    of_pictures: str = dataclasses.field(default=".jpg", metadata={"option": "suffix"})

    def __post_init__(self) -> None:
        check_choice("crop", self.crop, CROPS)
        check_choice("suffix", self.of_pictures, SUFFIXES)
        check_fps(self.fps)

    @property
    def suffix(self) -> str:
        """None: a folder."""
        return ""

    def derive(self, source: Source, out: Path) -> None:
        """Make the folder. Raises `Unavailable` (`no_face`) when a crop needs a face and no frame shows one."""
        frames = cropped(source, self.crop)
        out.mkdir()
        for place, number in enumerate(frame_numbers(source.num_frames, FPS, self.fps), start=1):
            write_picture(out / f"{place:06d}{self.of_pictures}", frames[number])
