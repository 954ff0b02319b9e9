"""The frames of several clips that can be fitted, one after another, some at a time, as PyTorch tensors."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from chdtf.faces import RIGID
from chdtf.morphable.model import FaceModel
from chdtf.schema import NUM_VERTICES

if TYPE_CHECKING:
    import torch

_SMALLEST_FACE_PX = 1e-3  # points closer together than this are no face: the padding of other trackers, most often


@dataclasses.dataclass(frozen=True)
class Chunk:
    """Some frames: rows `first` to `last` of the concatenated frames that can be fitted."""

    first: int
    last: int
    clip: "torch.Tensor"  # (n,) int64, the number of each frame's clip
    points: "torch.Tensor"  # (n, M, 3) float64, the mapped landmarks, px

    @property
    def rows(self) -> slice:
        """Where these frames lie among all."""
        return slice(self.first, self.last)


@dataclasses.dataclass(frozen=True, eq=False)
class Frames:
    """Which frames of which clips are fitted. N frames in all, of C clips, concatenated without padding."""

    landmarks: Sequence[np.ndarray]  # C of (T, L, 3)
    valid: list[np.ndarray]  # C of (T,) bool
    chosen: list[np.ndarray]  # C of (n,) int64, numbers of the frames that are fitted, ascending
    mapped: np.ndarray  # (M,) int32, the landmarks that the model knows
    device: "torch.device"
    chunk_frames: int
    apart: bool  # no chunk holds frames of two clips

    @property
    def num_clips(self) -> int:
        """C."""
        return len(self.landmarks)

    @property
    def counts(self) -> np.ndarray:
        """Frames of each clip, (C,)."""
        return np.array([len(frames) for frames in self.chosen])

    @property
    def total(self) -> int:
        """N."""
        return int(self.counts.sum())

    def rows_of(self, clip: int) -> slice:
        """Where a clip's frames lie among all."""
        first = int(self.counts[:clip].sum())
        return slice(first, first + len(self.chosen[clip]))

    def clip_numbers(self) -> "torch.Tensor":
        """(N,) int64."""
        import torch

        return torch.from_numpy(np.repeat(np.arange(self.num_clips), self.counts)).to(self.device)

    def at_most(self, count: int) -> "Frames":
        """The same clips with at most `count` frames each, evenly spread."""
        fewer = [
            frames if len(frames) <= count else frames[np.linspace(0, len(frames) - 1, count).round().astype(np.int64)]
            for frames in self.chosen
        ]
        return dataclasses.replace(self, chosen=fewer)

    def groups(self) -> Iterator["Frames"]:
        """Whole clips, as many at a time as have at most `chunk_frames` frames in all; one, where they stay apart."""
        first = 0
        while first < self.num_clips:
            total = np.cumsum(self.counts[first:])
            count = 1 if self.apart else max(1, int(np.searchsorted(total, self.chunk_frames, side="right")))
            some = slice(first, first + count)
            room = max(self.chunk_frames, int(total[count - 1]))
            yield dataclasses.replace(
                self,
                landmarks=self.landmarks[some],
                valid=self.valid[some],
                chosen=self.chosen[some],
                chunk_frames=room,
            )
            first += count

    def chunks(self) -> Iterator[Chunk]:
        """All frames, at most `chunk_frames` at a time."""
        import torch

        first = 0
        for pieces in self._pieces():
            arrays = [self.landmarks[clip][_span(frames)][:, _span(self.mapped)] for clip, frames in pieces]
            # a copy, as PyTorch takes no array that may not be written to
            points = np.concatenate(arrays, dtype=np.float64) if len(arrays) > 1 else np.array(arrays[0], np.float64)
            numbers = np.repeat([clip for clip, _ in pieces], [len(frames) for _, frames in pieces])
            last = first + len(numbers)
            yield Chunk(
                first, last, torch.from_numpy(numbers).to(self.device), torch.from_numpy(points).to(self.device)
            )
            first = last

    def _pieces(self) -> Iterator[list[tuple[int, np.ndarray]]]:
        """Frames by chunk: (clip, numbers of its frames)."""
        waiting: list[tuple[int, np.ndarray]] = []
        room = self.chunk_frames
        for clip, frames in enumerate(self.chosen):
            begin = 0
            while begin < len(frames):
                piece = frames[begin : begin + room]
                waiting.append((clip, piece))
                begin, room = begin + len(piece), room - len(piece)
                if room == 0 or self.apart:
                    yield waiting
                    waiting, room = [], self.chunk_frames
        if waiting:
            yield waiting


def frames_of(landmarks: Sequence[np.ndarray], model: FaceModel, device: str, chunk_frames: int) -> Frames:
    """Check the landmarks of several clips and find the frames that can be fitted.

    On the CPU clips stay apart: matrix products of other sizes round differently, and so a clip's result is to the bit
    the same in whatever company. On a GPU chunks are full, and results agree to about 1e-6.

    Raises:
        ValueError: for a wrong shape, or a clip without a frame that can be fitted; it names the clip.

    """
    import torch

    several = len(landmarks) > 1
    valid = [check_clip(clip, f"clip {number}: " if several else "") for number, clip in enumerate(landmarks)]
    chosen = [np.flatnonzero(seen) for seen in valid]
    mapped = model.landmark_map.landmarks
    where = torch.device(device)
    return Frames(landmarks, valid, chosen, mapped, where, chunk_frames, apart=where.type == "cpu")


def check_clip(landmarks: np.ndarray, which: str = "") -> np.ndarray:
    """Which frames of a clip can be fitted, bool (T,). Raises `ValueError` if the shape is wrong or none can."""
    if landmarks.ndim != 3 or landmarks.shape[1] < NUM_VERTICES or landmarks.shape[2] != 3:
        raise ValueError(f"{which}landmarks are (T, 478, 3), not {landmarks.shape}")
    seen = usable(landmarks)
    if not seen.any():
        raise ValueError(f"{which}none of {len(landmarks)} frames has landmarks")
    return seen


def usable(landmarks: np.ndarray) -> np.ndarray:
    """Frames of landmarks (T, L, 3) that hold a face: vertices finite, the rigid ones not at one spot. (T,) bool."""
    finite: np.ndarray = np.isfinite(landmarks[:, :NUM_VERTICES]).all(axis=(1, 2))
    seen = np.zeros(len(landmarks), bool)
    seen[finite] = np.ptp(landmarks[:, RIGID, :2][finite], axis=1).max(axis=-1) > _SMALLEST_FACE_PX
    return seen


def _span(numbers: np.ndarray) -> np.ndarray | slice:
    """Ascending numbers as a slice, which copies nothing, if they are without a gap."""
    first, last = int(numbers[0]), int(numbers[-1]) + 1
    return slice(first, last) if last - first == len(numbers) else numbers
