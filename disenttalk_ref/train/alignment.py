"""How far sound and picture of a clip are apart, measured by phones, and footage with that taken back.

Footage as found is off by up to 0.3 s, each source by its own amount, which a viewer forgives and a model that learns
from minutes does not: it averages over the offsets. Offset k means that the lips of frame i make the sound of frame
i + k. It is found twice. First without any training: mouths open in vowels and close in M, B and P, so that the offset
is where the two agree best; in drawn faces, whose lips are exact, that is 0. Then with a ridge regression from phone
posteriors to mouth opening that learnt from other clips at their first offsets, which is surer in short clips.
"""

import dataclasses
import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from chdtf.dataset import MotionClip
from chdtf.errors import UserError
from chdtf.morphable.coefficients import FaceModel
from chdtf.schema import SAMPLES_PER_FRAME
from disenttalk_ref.audio.extractors.phones import PHONES, Features
from disenttalk_ref.train.batches import gap_direction

log = logging.getLogger(__name__)

VOWELS = ("AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "OW")  # the open ones
CLOSURES = ("B", "M", "P")
MIN_CORRELATION = 0.3  # of opening and prediction at the best offset; less is no speech of this face
FOLDS = 5
ROUNDS = 2
RIDGE = 100.0  # added to the squares of the inputs
_REACH = 4  # frames to either side that the regression hears


@dataclass(frozen=True)
class Offset:
    """Sound minus picture of one clip, frames, and how well they agree there."""

    frames: int
    correlation: float


@dataclass(frozen=True)
class Aligner:
    """Measures offsets with a regression from phone posteriors to mouth opening that learnt from clips in sync."""

    direction: np.ndarray  # (64,) how expression opens the mouth
    weights: np.ndarray  # (757,) of a frame's posteriors and those of its neighbours
    max_frames: int

    def offset(self, clip: MotionClip) -> Offset:
        """Offset of a clip that the regression did not learn from; correlation NaN where it is too short to tell."""
        predicted = _context(Features().extract(clip.waveform)) @ self.weights
        return _best(predicted, _opening(clip, self.direction), self.max_frames)

    def align(self, clips: Sequence[MotionClip]) -> tuple[list[MotionClip], dict[str, Offset]]:
        """As `align` does, of other clips; none may be left."""
        return _in_sync(clips, [self.offset(clip) for clip in clips])


def measure_offsets(clips: Sequence[MotionClip], face: FaceModel, max_frames: int) -> tuple[list[Offset], Aligner]:
    """Offset of each clip, at most `max_frames` either way, and what measures that of others.

    The correlation is NaN for a clip too short to tell. Raises `UserError` when the acoustic model is not at hand.
    """
    direction = gap_direction(face)
    openings = [_opening(clip, direction) for clip in clips]
    heard = [Features().extract(clip.waveform) for clip in clips]
    found = [_best(_openness(rows), y, max_frames) for rows, y in zip(heard, openings, strict=True)]
    for _ in range(ROUNDS):
        squares, products = _sums(clips, heard, openings, found)
        folds = [_solved(squares.sum(0) - squares[k], products.sum(0) - products[k]) for k in range(FOLDS)]
        predicted = [_context(rows) @ folds[number % FOLDS] for number, rows in enumerate(heard)]
        found = [_best(x, y, max_frames) for x, y in zip(predicted, openings, strict=True)]
    squares, products = _sums(clips, heard, openings, found)
    return found, Aligner(direction, _solved(squares.sum(0), products.sum(0)), max_frames)


def aligned(clip: MotionClip, frames: int) -> MotionClip:
    """The clip with its sound moved by an offset; its motion stays. Frames that lose their sound are not valid."""
    waveform = _moved(clip.waveform, frames * SAMPLES_PER_FRAME)
    return dataclasses.replace(clip, waveform=waveform, valid=clip.valid & _has_sound(clip, frames))


def _has_sound(clip: MotionClip, frames: int) -> np.ndarray:
    """Frames of the picture that still have sound when it is moved, (T,) bool."""
    return _moved(np.ones(len(clip.valid), bool), frames)


def align(
    clips: Sequence[MotionClip], face: FaceModel, max_frames: int
) -> tuple[list[MotionClip], dict[str, Offset], Aligner]:
    """Clips brought into sync, without those whose lips do not follow their sound; every clip's offset by id.

    The `Aligner` does the same to clips that were not learnt from. Raises `UserError` when no clip is left, or the
    acoustic model is not at hand.
    """
    found, aligner = measure_offsets(clips, face, max_frames)
    kept, offsets = _in_sync(clips, found)
    if not kept:
        raise UserError(
            f"none of {len(clips)} clips has lips that follow its sound; give other data, or --max-offset 0"
        )
    log.info("%d of %d clips are in sync or were brought into it", len(kept), len(clips))
    return kept, offsets, aligner


def _in_sync(clips: Sequence[MotionClip], found: Sequence[Offset]) -> tuple[list[MotionClip], dict[str, Offset]]:
    pairs = list(zip(clips, found, strict=True))
    kept = [aligned(clip, offset.frames) for clip, offset in pairs if offset.correlation >= MIN_CORRELATION]
    return kept, {clip.clip_id: offset for clip, offset in pairs}


def _opening(clip: MotionClip, direction: np.ndarray) -> np.ndarray:
    """Mouth opening of mean 0 and variance 1 over the valid frames, 0 in the others: (T,)."""
    opening = clip.expression @ direction
    known = opening[clip.valid] if clip.valid.any() else opening
    scaled: np.ndarray = (opening - known.mean()) / max(float(known.std()), 1e-6) * clip.valid
    return scaled


def _openness(rows: np.ndarray) -> np.ndarray:
    """Vowels less closures, (T,)."""
    likely = np.square(rows).reshape(len(rows), -1, len(PHONES)).mean(1)
    index = {name: place for place, name in enumerate(PHONES)}
    opened: np.ndarray = likely[:, [index[name] for name in VOWELS]].sum(1)
    opened -= likely[:, [index[name] for name in CLOSURES]].sum(1)
    return opened


def _context(rows: np.ndarray) -> np.ndarray:
    """Features of a frame and its neighbours, (T, 9 x 84 + 1)."""
    padded = np.pad(rows, ((_REACH, _REACH), (0, 0)), "edge")
    parts = [padded[k : k + len(rows)] for k in range(2 * _REACH + 1)]
    return np.concatenate([*parts, np.ones((len(rows), 1), np.float32)], 1)


def _best(heard: np.ndarray, opening: np.ndarray, max_frames: int) -> Offset:
    """The offset of highest correlation over the frames that every offset leaves."""
    inner = slice(max_frames, len(opening) - max_frames)
    if len(opening) - 2 * max_frames < 2 * max_frames:
        return Offset(0, float("nan"))
    offsets = range(-max_frames, max_frames + 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        values = [float(np.corrcoef(np.roll(heard, -k)[inner], opening[inner])[0, 1]) for k in offsets]
    if not np.isfinite(values).any():
        return Offset(0, float("nan"))
    place = int(np.nanargmax(values))
    return Offset(offsets[place], values[place])


def _sums(
    clips: Sequence[MotionClip], heard: Sequence[np.ndarray], openings: Sequence[np.ndarray], found: Sequence[Offset]
) -> tuple[np.ndarray, np.ndarray]:
    """What the normal equations of the regression are made of, fold by fold: (FOLDS, 757, 757), (FOLDS, 757)."""
    size = _context(heard[0][:1]).shape[1]
    squares, products = np.zeros((FOLDS, size, size)), np.zeros((FOLDS, size))
    for number, (clip, rows, y, offset) in enumerate(zip(clips, heard, openings, found, strict=True)):
        if not np.isfinite(offset.correlation):
            continue
        used = clip.valid & _has_sound(clip, offset.frames)
        shifted = np.roll(_context(rows), -offset.frames, 0)[used].astype(np.float64)
        squares[number % FOLDS] += shifted.T @ shifted
        products[number % FOLDS] += shifted.T @ y[used]
    return squares, products


def _solved(squares: np.ndarray, products: np.ndarray) -> np.ndarray:
    """Weights of the ridge regression."""
    weights: np.ndarray = np.linalg.solve(squares + RIDGE * np.eye(len(squares)), products)
    return weights


def _moved(values: np.ndarray, by: int) -> np.ndarray:
    """values[i + by] at i, zero (or False) where there is none."""
    moved = np.roll(values, -by)
    if by > 0:
        moved[-by:] = 0
    elif by < 0:
        moved[:-by] = 0
    return moved
