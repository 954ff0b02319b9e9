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


def measure_offsets(clips: Sequence[MotionClip], face: FaceModel, max_frames: int) -> list[Offset]:
    """Offset of each clip, at most `max_frames` either way; correlation NaN for a clip too short to tell.

    Raises `UserError` when the acoustic model is not at hand.
    """
    direction = gap_direction(face)
    openings = [_standard(clip.expression @ direction) for clip in clips]
    heard = [Features().extract(clip.waveform) for clip in clips]
    found = [_best(_openness(rows), y, max_frames) for rows, y in zip(heard, openings, strict=True)]
    inputs = [_context(rows) for rows in heard]
    for _ in range(ROUNDS):
        weights = _cross_fitted(clips, inputs, openings, found)
        found = [_best(x @ w, y, max_frames) for x, w, y in zip(inputs, weights, openings, strict=True)]
    return found


def aligned(clip: MotionClip, frames: int) -> MotionClip:
    """The clip with its sound moved by an offset; frames that lose their sound are not valid."""
    return dataclasses.replace(
        clip,
        waveform=_moved(clip.waveform, frames * SAMPLES_PER_FRAME),
        valid=_moved(clip.valid, frames),
    )


def align(clips: Sequence[MotionClip], face: FaceModel, max_frames: int) -> tuple[list[MotionClip], dict[str, Offset]]:
    """Clips brought into sync, without those whose lips do not follow their sound; and every clip's offset by id.

    Raises `UserError` when none is left, or the acoustic model is not at hand.
    """
    offsets = measure_offsets(clips, face, max_frames)
    pairs = list(zip(clips, offsets, strict=True))
    kept = [aligned(clip, offset.frames) for clip, offset in pairs if offset.correlation >= MIN_CORRELATION]
    if not kept:
        raise UserError(
            f"none of {len(clips)} clips has lips that follow its sound; give other data, or --max-offset 0"
        )
    log.info("%d of %d clips are in sync or were brought into it", len(kept), len(clips))
    return kept, {clip.clip_id: offset for clip, offset in pairs}


def _standard(values: np.ndarray) -> np.ndarray:
    centred = values - values.mean()
    scaled: np.ndarray = centred / max(float(centred.std()), 1e-6)
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


def _cross_fitted(
    clips: Sequence[MotionClip], inputs: Sequence[np.ndarray], openings: Sequence[np.ndarray], found: Sequence[Offset]
) -> list[np.ndarray]:
    """Weights of the regression for each clip, learnt from the clips of the other folds."""
    size = inputs[0].shape[1]
    squares, products = np.zeros((FOLDS, size, size)), np.zeros((FOLDS, size))
    for number, (clip, x, y, offset) in enumerate(zip(clips, inputs, openings, found, strict=True)):
        if not np.isfinite(offset.correlation):
            continue
        used = _moved(clip.valid, offset.frames)
        shifted = np.roll(x, -offset.frames, 0)[used].astype(np.float64)
        squares[number % FOLDS] += shifted.T @ shifted
        products[number % FOLDS] += shifted.T @ y[used]
    penalty = RIDGE * np.eye(size)
    solved = [
        np.linalg.solve(squares.sum(0) - squares[fold] + penalty, products.sum(0) - products[fold])
        for fold in range(FOLDS)
    ]
    return [solved[number % FOLDS] for number in range(len(clips))]


def _moved(values: np.ndarray, by: int) -> np.ndarray:
    """values[i + by] at i, zero (or False) where there is none."""
    moved = np.roll(values, -by)
    if by > 0:
        moved[-by:] = 0
    elif by < 0:
        moved[:-by] = 0
    return moved
