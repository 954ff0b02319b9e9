"""Source: one clip of a dataset as inputs are derived from it. Everything is read on demand, once."""

import dataclasses
import functools

import numpy as np

from baselines.inputs import Unavailable
from baselines.inputs.phones import Interval, phones_of
from chdtf.clip import Clip


@dataclasses.dataclass(frozen=True)
class Source:
    """One clip: T frames of 256x256 at 25 fps with 16 kHz sound."""

    clip: Clip

    @property
    def clip_id(self) -> str:
        """The clip's id."""
        return self.clip.clip_id

    @property
    def language(self) -> str:
        """BCP 47; `und` where it is not known."""
        return self.clip.language

    @property
    def num_frames(self) -> int:
        """T."""
        return self.clip.num_frames

    @functools.cached_property
    def frames(self) -> np.ndarray:
        """uint8 (T, 256, 256, 3) RGB."""
        return self.clip.frames()

    @functools.cached_property
    def waveform(self) -> np.ndarray:
        """float32 (S,) in [-1, 1], 16 kHz, S = 640 T."""
        return self.clip.waveform()

    @functools.cached_property
    def landmarks(self) -> np.ndarray:
        """float32 (T, 478, 3) px of the frame; NaN where no face was found."""
        return self.clip.landmarks()

    @functools.cached_property
    def phones(self) -> list[Interval]:
        """What is said when: intervals without gaps from 0 to the clip's end. Raises `Unavailable` (`no_phonemes`)."""
        return phones_of(self.clip_id, self.language, self.waveform)

    def seen(self) -> np.ndarray:
        """Which frames show a face, bool (T,). Raises `Unavailable` (`no_face`) when none does."""
        valid: np.ndarray = ~np.isnan(self.landmarks).any(axis=(1, 2))
        if not valid.any():
            raise Unavailable("no_face", f"none of {len(valid)} frames has landmarks")
        return valid


def frame_numbers(num_frames: int, fps_from: float, fps_to: float) -> np.ndarray:
    """Which of T frames is shown at each instant of another rate: the nearest in time, int (N,).

    N as `chdtf.morphable.exchange.resample` has it, so that frames, poses and phonemes of one rate are equally many.
    """
    from chdtf.morphable.exchange.resample import num_frames_at

    instants = np.arange(num_frames_at(num_frames, fps_from, fps_to)) * (fps_from / fps_to)
    numbers: np.ndarray = np.minimum(np.floor(instants + 0.5), num_frames - 1).astype(int)
    return numbers
