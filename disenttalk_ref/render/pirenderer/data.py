"""Pairs of frames of one clip, from published datasets: source image, target image, and what drives the target.

Video is decoded a group of clips at a time, in a thread ahead of the training, and held for some steps. Every batch is
a function of (seed, step, process), so that a resumed run sees what an uninterrupted one would have seen.
"""

import concurrent.futures
import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from chdtf.clip import Clip, face_model_of, read_clips
from chdtf.errors import UserError
from chdtf.morphable.model import FaceModel, load_model
from disenttalk_ref.render.pirenderer.portrait import to_unit
from disenttalk_ref.render.pirenderer.semantics import held, semantics_of, window


@dataclasses.dataclass(frozen=True, eq=False)
class Footage:
    """Some frames of one clip, decoded."""

    frames: np.ndarray  # uint8 (F, 256, 256, 3) RGB
    numbers: np.ndarray  # int (F,), which frames of the clip they are
    semantics: np.ndarray  # float32 (T, K) of all frames of the clip, gaps filled


@dataclasses.dataclass(frozen=True, eq=False)
class Pairs:
    """A batch: images (N, 3, 256, 256) in [-1, 1], windows (N, K, 2 radius + 1), all float32."""

    source: torch.Tensor
    target: torch.Tensor
    windows: torch.Tensor


class PairSampler:
    """Batches of pairs from clips; speakers are drawn alike, then their clips, then two frames."""

    def __init__(
        self,
        clips: Sequence[Clip],
        model: FaceModel,
        layout: str,
        radius_frames: int,
        held_clips: int = 32,
        held_frames: int = 64,
        held_steps: int = 64,
    ) -> None:
        """When all frames are no more than `held_clips` times `held_frames`, all are held, for good.

        Else so many of so many clips, others after `held_steps` steps. Raises `UserError` when there is no clip.
        """
        if not clips:
            raise UserError("no clips to learn from; build a dataset with: make chdtf")
        self._clips, self._model, self._layout, self._radius = tuple(clips), model, layout, radius_frames
        self._held_clips, self._held_frames, self._held_steps = held_clips, held_frames, held_steps
        speakers = sorted({clip.speaker_id for clip in clips})
        self._of_speaker = [[k for k, clip in enumerate(clips) if clip.speaker_id == name] for name in speakers]
        self._ahead = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="decode")
        self._group = functools.lru_cache(maxsize=2)(self._submit)

    def draw(self, size: int, seed: int, step: int, process: int = 0) -> Pairs:
        """The batch of a step."""
        group = 0 if self._all_fit else step // self._held_steps
        footage = self._group(seed, group, process).result()
        if not self._all_fit:
            self._group(seed, group + 1, process)  # begins to decode
        rng = np.random.default_rng((seed, step, process, 1))
        return self._stack([self._pair(footage[int(rng.integers(len(footage)))], rng) for _ in range(size)])

    def close(self) -> None:
        """End the thread."""
        self._ahead.shutdown(cancel_futures=True)

    @property
    def _all_fit(self) -> bool:
        return sum(clip.num_frames for clip in self._clips) <= self._held_clips * self._held_frames

    def _submit(self, seed: int, group: int, process: int) -> "concurrent.futures.Future[list[Footage]]":
        return self._ahead.submit(self._decode_group, seed, group, process)

    def _decode_group(self, seed: int, group: int, process: int) -> list[Footage]:
        if self._all_fit:
            return [self._decode(clip, None) for clip in self._clips]
        rng = np.random.default_rng((seed, group, process, 0))
        speakers = rng.integers(len(self._of_speaker), size=self._held_clips)
        chosen = [int(rng.choice(self._of_speaker[speaker])) for speaker in speakers]
        return [self._decode(self._clips[number], rng) for number in chosen]

    def _decode(self, clip: Clip, rng: np.random.Generator | None) -> Footage:
        coefficients = clip.coefficients()
        semantics = semantics_of(coefficients, self._model, self._layout)
        valid = np.flatnonzero(coefficients.valid)
        if not len(valid):
            raise UserError(f"{clip.clip_id}: none of its {clip.num_frames} frames has a fitted face; remove it")
        if rng is not None and len(valid) > self._held_frames:
            valid = np.sort(rng.choice(valid, self._held_frames, replace=False))
        return Footage(clip.frames()[valid], valid, held(semantics, coefficients.valid, semantics[valid[0]]))

    def _pair(self, footage: Footage, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        source, target = (int(place) for place in rng.integers(len(footage.frames), size=2))
        driving = window(footage.semantics, int(footage.numbers[target]), self._radius)
        return footage.frames[source], footage.frames[target], driving

    @staticmethod
    def _stack(pairs: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> Pairs:
        sources, targets, windows = (np.stack(part) for part in zip(*pairs, strict=True))
        return Pairs(to_unit(sources), to_unit(targets), torch.from_numpy(windows))


def read_split(roots: Sequence[Path], split: str) -> tuple[list[Clip], FaceModel]:
    """Clips of a split of some datasets, and the face model that all are fitted with.

    Raises `UserError` when there is none, when face models are mixed, or when theirs is not here.
    """
    clips = [clip for root in roots for clip in read_clips(Path(root), split=split)]
    if not clips:
        where = ", ".join(str(root) for root in roots) or "no dataset"
        raise UserError(f"{where}: no clips in split {split!r}; build a dataset with: make chdtf")
    name, digest = face_model_of(clips)
    model = load_model(name)
    if model.hash != digest:
        raise UserError(
            f"the data is fitted with {name} {digest[:12]}, the one here is {model.hash[:12]}; run the fit stage again"
        )
    return clips, model
