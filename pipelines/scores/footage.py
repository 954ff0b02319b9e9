"""One finished clip in memory, as scores look at it: decoded once for all of them."""

import dataclasses
import functools

import numpy as np

from chdtf import syncnet

MAX_GAP_FRAMES = 25  # faces missed for longer break the crops of the networks that look at lips


@dataclasses.dataclass(frozen=True, eq=False)
class Footage:
    """Frames uint8 (T, 256, 256, 3) RGB at 25 fps, landmarks (T, 478, 3) px, sound (S,), speech heard bool (T,)."""

    frames: np.ndarray
    landmarks: np.ndarray  # NaN where no face was found
    waveform: np.ndarray
    spoken: np.ndarray

    @functools.cached_property
    def crops(self) -> np.ndarray:
        """uint8 (T, 224, 224, 3): the face as SyncNet's pipeline crops it. Raises `ValueError` where it is lost."""
        return syncnet.face_crops(self.frames, syncnet.without_gaps(self.landmarks, MAX_GAP_FRAMES))

    def spread(self, count: int) -> np.ndarray:
        """Numbers of at most `count` frames with a face, evenly spread over the clip, int (N,)."""
        found = np.flatnonzero(np.isfinite(self.landmarks[:, 0, 0]))
        chosen: np.ndarray = found[
            np.unique(np.linspace(0, len(found) - 1, min(count, len(found))).round().astype(int))
        ]
        return chosen
