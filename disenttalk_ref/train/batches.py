"""Training windows: cut from clips, aligned and varied. Each window is a function of (seed, step, its number) alone.

So a batch is the same however many processes and threads prepare it; a process draws only its own part.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from chdtf.dataset import MotionClip
from chdtf.faces import LOWER_INNER_LIP, UPPER_INNER_LIP
from chdtf.morphable.coefficients import FaceModel
from chdtf.morphable.head_motion import MIRROR_SIGN
from chdtf.morphable.regions import mirror_map
from chdtf.schema import SAMPLES_PER_FRAME
from disenttalk_ref.audio import Features, normalise_loudness
from disenttalk_ref.train.config import Augmentation

CLOSED_SHARE = 0.1  # the tenth of a clip with the least open mouth stands for its closed mouth
FADE_FRAMES = 4
_FULL_SCALE = 32767  # clips are 16-bit; kept so, an hour of speech takes 115 MB
_NOISE_SAMPLES = 1 << 21  # of white noise, drawn once; windows take stretches of it, which is quicker
_DEVIATION_CLIPS = 200  # that tell how much features vary
_WARPS = 4  # vocal tract lengths a batch: one set of mel filters each


@dataclass(frozen=True)
class Batch:
    """Windows of T frames, all float32 but `valid`."""

    audio: torch.Tensor  # (B, T, A) features
    motion: torch.Tensor  # (B, T, 70) expression 64, then head pose 6 (`chdtf.morphable.head_motion`)
    valid: torch.Tensor  # (B, T) bool

    def __len__(self) -> int:
        return len(self.valid)

    def __getitem__(self, part: slice) -> "Batch":
        return Batch(self.audio[part], self.motion[part], self.valid[part])

    def to(self, device: torch.device) -> "Batch":
        """The same on a device."""
        return Batch(*(each.to(device, non_blocking=True) for each in (self.audio, self.motion, self.valid)))

    def pinned(self) -> "Batch":
        """The same in page-locked memory, from which copies to a GPU run beside its work."""
        return Batch(*(each.pin_memory() for each in (self.audio, self.motion, self.valid)))


@dataclass(frozen=True)
class _Prepared:
    clip_id: str
    waveform: np.ndarray  # (640 T,) int16; empty where features are cached
    gain: float  # waveform * gain is float32, loudness normalised
    motion: np.ndarray  # (T, 70) float32
    valid: np.ndarray  # (T,) bool
    closed: np.ndarray  # (64,) the clip's closed mouth


def mirror_matrix(model: FaceModel) -> np.ndarray:
    """Matrix M (64, 64) with expression @ M = expression of the mirrored face, by least squares on the basis."""
    mirrored = model.expression_basis[:, mirror_map(model.mean)] * np.array([-1.0, 1.0, 1.0])
    matrix: np.ndarray = (mirrored.reshape(len(mirrored), -1) @ model.projector).astype(np.float32)
    return matrix


def gap_direction(model: FaceModel) -> np.ndarray:
    """How much each expression dimension opens the inner lips, model units: (64,)."""
    basis = model.expression_basis
    gap = model.mean[LOWER_INNER_LIP] - model.mean[UPPER_INNER_LIP]
    axis = gap / max(float(np.linalg.norm(gap)), 1e-9)
    direction: np.ndarray = (basis[:, LOWER_INNER_LIP] - basis[:, UPPER_INNER_LIP]) @ axis
    return direction


class WindowSampler:
    """Draws batches of windows from clips: motion and sound are held in memory, cached features are asked for."""

    def __init__(
        self,
        clips: Sequence[MotionClip],
        model: FaceModel,
        features: Features,
        eye_dimensions: Sequence[int],
        window_frames: int,
        augmentation: Augmentation,
        cached: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        """`cached` (T, A) by clip id is needed for features that are not `on_the_fly`.

        Raises `ValueError` where a clip lacks cached features; `draw` does where they are of another number of frames.
        """
        self.features, self.window, self.augmentation = features, window_frames, augmentation
        self.mirror = mirror_matrix(model)
        self.still = np.setdiff1d(np.arange(len(self.mirror)), np.array(eye_dimensions, dtype=int))
        samples = max(_NOISE_SAMPLES, 2 * window_frames * SAMPLES_PER_FRAME)
        self.white = np.random.default_rng(0).standard_normal(samples, np.float32)
        direction = gap_direction(model)
        self.rows = None if features.on_the_fly else cached or {}
        if self.rows is not None and (missing := [clip.clip_id for clip in clips if clip.clip_id not in self.rows]):
            raise ValueError(f"clip {missing[0]}: no cached features")
        self.clips = [_prepare(clip, direction, features.on_the_fly) for clip in clips]
        lengths = np.array([len(clip.valid) for clip in self.clips], float)
        self.share = np.cumsum(lengths / lengths.sum())
        if self.rows is not None:
            self.silence = _silence(features)
            self.noise = _deviation([self.rows[each.clip_id] for each in _spread(self.clips)])
            self.noise *= augmentation.feature_noise

    def draw(self, batch: int, seed: int, step: int, part: slice = slice(None)) -> Batch:
        """The windows `part` of the batch of one step, which has `batch` windows in all."""
        numbers = range(batch)[part]
        windows = [self._window(np.random.default_rng((seed, step, number))) for number in numbers]
        heard = np.stack([window[0] for window in windows])
        audio = (
            torch.from_numpy(heard) if not self.features.on_the_fly else self._listen(heard, numbers, batch, seed, step)
        )
        motion = torch.from_numpy(np.stack([window[1] for window in windows]))
        return Batch(audio, motion, torch.from_numpy(np.stack([window[2] for window in windows])))

    def _listen(self, waveforms: np.ndarray, numbers: range, batch: int, seed: int, step: int) -> torch.Tensor:
        """Features of waveforms (B, S), a quarter of the batch with one vocal tract length."""
        draws = np.random.default_rng((seed, step, batch)).uniform(-1, 1, _WARPS)  # no window has this number
        warps = 1 + np.round(draws * self.augmentation.warp, 2)
        extractor: Any = self.features  # those on the fly have `features`
        groups = itertools.groupby(range(len(numbers)), key=lambda row: numbers[row] * _WARPS // batch)
        parts = []
        for warp, group in groups:
            rows = list(group)
            waves = torch.from_numpy(waveforms[rows[0] : rows[-1] + 1])
            parts.append(extractor.features(waves, float(warps[warp])))
        return torch.cat(parts)

    def _window(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Sound (S,) or features (T, A), motion (T, 70) and valid (T,) of one window."""
        clip = self.clips[min(int(np.searchsorted(self.share, rng.random(), "right")), len(self.clips) - 1)]
        count = len(clip.valid)
        speed = 1 + rng.uniform(-1, 1) * self.augmentation.speed
        start = rng.uniform(0, count - min(self.window * speed, count))
        frames = start + (np.arange(self.window) + 0.5) * speed - 0.5  # positions in the clip
        low = np.clip(np.floor(frames).astype(int), 0, count - 1)
        valid = clip.valid[low] & clip.valid[np.minimum(low + 1, count - 1)] & (frames < count - 0.5)
        motion = _interpolate(clip.motion, frames)
        if self.rows is not None:
            heard, motion = self._features(self.rows[clip.clip_id], clip, start, speed, motion, rng)
        else:
            heard, motion = self._sound(clip, start, speed, motion, rng)
        if rng.random() < self.augmentation.mirror:
            expression, pose = np.split(motion, [len(self.mirror)], axis=1)
            motion = np.concatenate([expression @ self.mirror, pose * MIRROR_SIGN], axis=1)
        return heard, motion.astype(np.float32), valid

    def _features(
        self,
        rows: np.ndarray,
        clip: _Prepared,
        start: float,
        speed: float,
        motion: np.ndarray,
        rng: np.random.Generator,
    ) -> tuple[np.ndarray, np.ndarray]:
        """The window's cached features, varied, and its motion, in a pause with the mouth closed."""
        if len(rows) != len(clip.valid):
            raise ValueError(f"clip {clip.clip_id}: {len(clip.valid)} frames, but {len(rows)} of cached features")
        parts = self.features.parts
        places = start * parts + (np.arange(self.window * parts) + 0.5) * speed - 0.5
        heard = _interpolate(rows.reshape(len(rows) * parts, -1), places).reshape(self.window, -1)
        if rng.random() < self.augmentation.pause:
            heard, motion = self._pause_of_features(heard, motion, clip.closed, rng)
        heard += rng.standard_normal(heard.shape, np.float32) * self.noise
        return heard, motion

    def _sound(
        self, clip: _Prepared, start: float, speed: float, motion: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """The window's sound, varied, and its motion, in a pause with the mouth closed."""
        samples = start * SAMPLES_PER_FRAME + (np.arange(self.window * SAMPLES_PER_FRAME) + 0.5) * speed - 0.5
        first, last = int(samples[0]), int(samples[-1]) + 2
        stretch = clip.waveform[max(first, 0) : last] * np.float32(clip.gain)
        waveform = _interpolate(stretch, samples - max(first, 0)) * (samples < len(clip.waveform))
        if rng.random() < self.augmentation.pause:
            waveform, motion = self._pause(waveform, motion, clip.closed, rng)
        return self._vary(waveform, rng), motion

    def _pause(
        self, waveform: np.ndarray, motion: np.ndarray, closed: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Silence a stretch and close the mouth in it; eyes and head go on as they were."""
        within, moved = self._rest(motion, closed, rng)
        heard = 1 - np.clip(within + 1, 0, 1)  # fades within a frame
        return waveform * np.repeat(heard, SAMPLES_PER_FRAME).astype(np.float32), moved

    def _pause_of_features(
        self, rows: np.ndarray, motion: np.ndarray, closed: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """The same for cached features: rows in the stretch become those of silence."""
        within, moved = self._rest(motion, closed, rng)
        return np.where(within[:, None] >= 0, self.silence, rows), moved

    def _rest(self, motion: np.ndarray, closed: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """How far inside a stretch drawn at random each frame is, (T,), and motion with the mouth closed there."""
        first, last = np.sort(rng.integers(-self.window // 2, self.window * 3 // 2, 2))
        frames = np.arange(self.window)
        within = np.minimum(frames - first, last - frames)
        inside = np.clip(within / FADE_FRAMES, 0, 1)[:, None]
        moved = motion.copy()
        moved[:, self.still] = motion[:, self.still] * (1 - inside) + closed[self.still] * inside
        return within, moved

    def _vary(self, waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Level, colour and noise."""
        gain = 10 ** (rng.uniform(-1, 1) * self.augmentation.gain_db / 20)
        tilt = rng.uniform(-1, 1) * self.augmentation.tilt
        level = 10 ** (rng.uniform(*self.augmentation.noise_db) / 20)
        first = int(rng.integers(len(self.white) - len(waveform)))
        varied = np.asarray(waveform * np.float32(gain / np.sqrt(1 + tilt**2)), np.float32)
        varied[1:] += np.float32(tilt) * varied[:-1]
        varied += self.white[first : first + len(waveform)] * np.float32(level)
        return varied


def _silence(features: Features) -> np.ndarray:
    """The row of digital silence, the middle one of 2 s: float32 (A,)."""
    rows: np.ndarray = features.extract(np.zeros(50 * SAMPLES_PER_FRAME, np.float32))
    middle: np.ndarray = rows[len(rows) // 2]
    return middle


def motion_of(clip: MotionClip) -> np.ndarray:
    """Expression and head pose side by side: float32 (T, 70)."""
    motion: np.ndarray = np.concatenate([clip.expression, clip.pose], axis=1).astype(np.float32)
    return motion


def _prepare(clip: MotionClip, direction: np.ndarray, with_sound: bool) -> _Prepared:
    count = len(clip.valid)
    opening = np.where(clip.valid, clip.expression @ direction, np.inf)
    fewest = max(1, int(clip.valid.sum() * CLOSED_SHARE))
    closed = clip.expression[np.argsort(opening, kind="stable")[:fewest]].mean(0)
    if not with_sound:
        return _Prepared(clip.clip_id, np.zeros(0, np.int16), 1.0, motion_of(clip), clip.valid, closed)
    waveform = normalise_loudness(clip.waveform[: count * SAMPLES_PER_FRAME])
    peak = max(float(np.abs(waveform).max(initial=0)), 1e-9)
    pcm = np.round(waveform * (_FULL_SCALE / peak)).astype(np.int16)
    return _Prepared(clip.clip_id, pcm, peak / _FULL_SCALE, motion_of(clip), clip.valid, closed)


def _spread(clips: Sequence[_Prepared]) -> Sequence[_Prepared]:
    """At most `_DEVIATION_CLIPS` clips, evenly spread: all would be gigabytes to read before the first step."""
    return clips[:: -(-len(clips) // _DEVIATION_CLIPS)]


def _deviation(tables: Sequence[np.ndarray]) -> np.ndarray:
    """Standard deviation of each cached feature over all frames, float32 (A,)."""
    total = sum(len(rows) for rows in tables)
    mean = sum(rows.sum(0, dtype=np.float64) for rows in tables) / total
    square = sum(((rows - mean) ** 2).sum(0) for rows in tables) / total
    deviation: np.ndarray = np.sqrt(np.asarray(square)).astype(np.float32)
    return deviation


def _interpolate(values: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Linear interpolation along time, held at the ends: (T, ...) at (M,) -> (M, ...)."""
    positions = np.clip(positions, 0, len(values) - 1)
    low = positions.astype(np.int64)
    high = np.minimum(low + 1, len(values) - 1)
    part = (positions - low).astype(np.float32).reshape(-1, *[1] * (values.ndim - 1))
    result: np.ndarray = values[low] * (1 - part) + values[high] * part
    return result
