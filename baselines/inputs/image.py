"""`image`: the clip's first frame as a picture."""

import dataclasses
from pathlib import Path

import numpy as np

from baselines.inputs import Input, Unavailable, check_choice
from baselines.inputs.crops import CROPS, pcavs224, write_picture
from baselines.inputs.source import Source

SUFFIXES = (".png", ".jpg")


@dataclasses.dataclass(frozen=True)
class Derive(Input):
    """256x256 as it is, or in a crop of `crops`, which is then that of this frame alone."""

    version = 1  # without an annotation: no option
    crop: str = "frame"
    suffix: str = ".png"

    def __post_init__(self) -> None:
        check_choice("crop", self.crop, CROPS)
        check_choice("suffix", self.suffix, SUFFIXES)

    def derive(self, source: Source, out: Path) -> None:
        """Write the picture. Raises `Unavailable` (`no_face`) when a crop needs a face and the frame shows none."""
        picture = source.frames[:1]
        if self.crop != "frame":
            landmarks = source.landmarks[:1]
            if np.isnan(landmarks).any():
                raise Unavailable("no_face", f"the first frame has no landmarks, which the crop {self.crop} needs")
            picture = pcavs224(picture, landmarks)
        write_picture(out, picture[0])
