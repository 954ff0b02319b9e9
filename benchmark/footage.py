"""Footage: one video in the common form that every metric sees, and the reason when there is none."""

import contextlib
import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from chdtf.files import atomic_path
from chdtf.schema import FPS

T = TypeVar("T")


class Unscored(Exception):
    """A value that could not be computed. `reason` begins with a short stable word and goes into the table."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclasses.dataclass(frozen=True, eq=False)
class Footage:
    """A normalised video: T frames at 25 fps, 256x256, and the sound that belongs to them.

    `frames` is uint8 (T, 256, 256, 3) RGB, `waveform` float32 (S,) in [-1, 1] at 16 kHz with sample 0 at frame 0, or
    None. Frame i shows what the reference shows at frame `start_frame + i`. With geometry `recrop` the frames, and
    those of the reference beside them, are cut to what both show (`benchmark.geometry.realign`): 64 px a side or more.
    Raises `ValueError` for frames of another type or form: `benchmark.normalise.footage_of_arrays` says what to do.
    """

    frames: np.ndarray
    waveform: np.ndarray | None
    raw_sha256: str
    frames_sha256: str
    normalised_sha256: str  # of frames and sound
    notes: tuple[str, ...] = ()
    start_frame: int = 0
    landmarks_file: Path | None = None  # where tracked landmarks are kept between runs
    geometry: str = "same_frame"  # see `benchmark.metric.GEOMETRIES`
    generation_s: float | None = None  # how long the method took to make the video
    no_sound: str = ""  # why `waveform` is None
    black_frames: int = 0  # dropped at the end
    _kept: dict[str, Any] = dataclasses.field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if self.frames.dtype != np.uint8 or self.frames.ndim != 4 or self.frames.shape[-1] != 3:
            raise ValueError(f"frames: {self.frames.dtype} {self.frames.shape} instead of uint8 (T, H, W, 3)")

    @property
    def num_frames(self) -> int:
        """T."""
        return len(self.frames)

    @property
    def duration_s(self) -> float:
        """Length of the frames in seconds."""
        return len(self.frames) / FPS

    def once(self, name: str, compute: Callable[[], T]) -> T:
        """What several metrics need of this video, computed for the first of them and kept under a name."""
        if name not in self._kept:
            self._kept[name] = compute()
        kept: T = self._kept[name]
        return kept

    @functools.cached_property
    def landmarks(self) -> np.ndarray:
        """MediaPipe's landmarks, float32 (T, 478, 3) px, NaN where no face is found; tracked once, at first use."""
        if self.landmarks_file is not None and self.landmarks_file.is_file():
            with contextlib.suppress(ValueError, EOFError):
                kept: np.ndarray = np.load(self.landmarks_file, allow_pickle=False)
                if len(kept) == self.num_frames:
                    return kept
        from chdtf.faces import track_landmarks

        tracked = track_landmarks(self.frames)
        if self.landmarks_file is not None:
            with atomic_path(self.landmarks_file) as temporary, temporary.open("wb") as sink:
                np.save(sink, tracked)
        return tracked

    def face_landmarks(self, min_share: float) -> np.ndarray:
        """`landmarks`, or `Unscored` when fewer than `min_share` of the frames hold a face."""
        found = int(np.isfinite(self.landmarks[:, 0, 0]).sum())
        if found < min_share * self.num_frames or not found:
            raise Unscored(f"no_face: found in {found} of {self.num_frames} frames, {min_share:.0%} needed")
        return self.landmarks


def paired(generated: Footage, reference: Footage) -> tuple[slice, slice]:
    """Frames of either that show the same moments: by index after the declared offset, over the common length."""
    skip = generated.start_frame - reference.start_frame
    begin_generated, begin_reference = max(0, -skip), max(0, skip)
    count = min(generated.num_frames - begin_generated, reference.num_frames - begin_reference)
    if count <= 0:
        raise Unscored(f"no_common_frames: {generated.num_frames} frames against {reference.num_frames}, offset {skip}")
    return slice(begin_generated, begin_generated + count), slice(begin_reference, begin_reference + count)
