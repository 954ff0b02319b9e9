"""Training windows: cut from clips, aligned and varied; every batch is a function of (seed, step) alone."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from chdtf.dataset import MotionClip
from chdtf.faces import LOWER_INNER_LIP, UPPER_INNER_LIP
from chdtf.morphable.coefficients import FaceModel
from chdtf.morphable.regions import mirror_map
from chdtf.schema import SAMPLES_PER_FRAME
from disenttalk_ref.audio import AudioFeatures, normalise_loudness

CLOSED_SHARE = 0.1  # the tenth of a clip with the least open mouth stands for its closed mouth
FADE_FRAMES = 4


@dataclass(frozen=True)
class Augmentation:
    """How training windows are varied; probabilities and ranges of uniform draws."""

    mirror: float = 0.5
    speed: float = 0.12  # time and pitch together, +-; motion is resampled alike
    warp: float = 0.12  # vocal tract length, +-: the mel filters' frequencies
    gain_db: float = 4.0  # +-
    tilt: float = 0.5  # first-order filter, +-
    noise_db: tuple[float, float] = (-70.0, -30.0)  # white noise, re full scale (speech is at -20)
    pause: float = 0.2  # share of windows where a stretch becomes silence with the mouth closed


@dataclass(frozen=True)
class Batch:
    """Windows: audio features (B, T, A), expression (B, T, 64), valid (B, T)."""

    audio: torch.Tensor
    expression: torch.Tensor
    valid: torch.Tensor


@dataclass(frozen=True)
class _Prepared:
    waveform: np.ndarray  # (640 T,) loudness normalised
    expression: np.ndarray  # (T, 64)
    valid: np.ndarray  # (T,)
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
    """Draws batches of windows from clips held in memory."""

    def __init__(
        self,
        clips: Sequence[MotionClip],
        model: FaceModel,
        features: AudioFeatures,
        eye_dimensions: Sequence[int],
        window_frames: int,
        augmentation: Augmentation,
    ) -> None:
        self.features, self.window, self.augmentation = features, window_frames, augmentation
        self.mirror = mirror_matrix(model)
        self.still = np.setdiff1d(np.arange(len(self.mirror)), np.array(eye_dimensions, dtype=int))
        direction = gap_direction(model)
        self.clips = [_prepare(clip, direction) for clip in clips]
        lengths = np.array([len(clip.valid) for clip in self.clips], float)
        self.share = lengths / lengths.sum()

    def draw(self, batch: int, seed: int, step: int) -> Batch:
        """The batch of one step."""
        rng = np.random.default_rng((seed, step))
        windows = [self._window(rng) for _ in range(batch)]
        waveforms = torch.from_numpy(np.stack([window[0] for window in windows]))
        groups = waveforms.chunk(4)  # one set of mel filters a group
        warps = 1 + np.round(rng.uniform(-1, 1, len(groups)) * self.augmentation.warp, 2)
        audio = [self.features.features(group, float(warp)) for group, warp in zip(groups, warps, strict=True)]
        expression = torch.from_numpy(np.stack([window[1] for window in windows]))
        return Batch(torch.cat(audio), expression, torch.from_numpy(np.stack([window[2] for window in windows])))

    def _window(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        clip = self.clips[rng.choice(len(self.clips), p=self.share)]
        speed = 1 + rng.uniform(-1, 1) * self.augmentation.speed
        span = min(self.window * speed, len(clip.valid))
        start = rng.uniform(0, len(clip.valid) - span)
        frames = start + (np.arange(self.window) + 0.5) * speed - 0.5  # positions in the clip
        samples = start * SAMPLES_PER_FRAME + (np.arange(self.window * SAMPLES_PER_FRAME) + 0.5) * speed - 0.5
        near = np.clip(np.round(frames).astype(int), 0, len(clip.valid) - 1)
        valid = clip.valid[near] & (frames < len(clip.valid) - 0.5)
        expression = _interpolate(clip.expression, frames)
        waveform = _interpolate(clip.waveform, samples) * (samples < len(clip.waveform))
        if rng.random() < self.augmentation.pause:
            waveform, expression = self._pause(waveform, expression, clip.closed, rng)
        if rng.random() < self.augmentation.mirror:
            expression = expression @ self.mirror
        return self._vary(waveform, rng), expression.astype(np.float32), valid

    def _pause(
        self, waveform: np.ndarray, expression: np.ndarray, closed: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Silence a stretch and close the mouth in it; the eyes go on as they were."""
        first, last = np.sort(rng.integers(-self.window // 2, self.window * 3 // 2, 2))
        frames = np.arange(self.window)
        inside = np.clip(np.minimum(frames - first, last - frames) / FADE_FRAMES, 0, 1)[:, None]
        moved = expression.copy()
        moved[:, self.still] = expression[:, self.still] * (1 - inside) + closed[self.still] * inside
        heard = 1 - np.clip(np.minimum(frames - first, last - frames) + 1, 0, 1)  # fades within a frame
        return waveform * np.repeat(heard, SAMPLES_PER_FRAME).astype(np.float32), moved

    def _vary(self, waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Level, colour and noise."""
        gain = 10 ** (rng.uniform(-1, 1) * self.augmentation.gain_db / 20)
        tilt = rng.uniform(-1, 1) * self.augmentation.tilt
        noise = rng.standard_normal(len(waveform), np.float32) * 10 ** (rng.uniform(*self.augmentation.noise_db) / 20)
        varied = gain * (waveform + tilt * np.roll(waveform, 1)) / np.sqrt(1 + tilt**2) + noise
        return np.asarray(varied, dtype=np.float32)


def _prepare(clip: MotionClip, direction: np.ndarray) -> _Prepared:
    opening = clip.expression @ direction
    opening = np.where(clip.valid, opening, np.inf)
    count = max(1, int(clip.valid.sum() * CLOSED_SHARE))
    closed = clip.expression[np.argsort(opening, kind="stable")[:count]].mean(0)
    waveform = normalise_loudness(clip.waveform[: len(clip.valid) * SAMPLES_PER_FRAME])
    return _Prepared(waveform, clip.expression, clip.valid, closed)


def _interpolate(values: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Linear interpolation along time, held at the ends: (T, ...) at (M,) -> (M, ...)."""
    positions = np.clip(positions, 0, len(values) - 1)
    low = positions.astype(np.int64)
    high = np.minimum(low + 1, len(values) - 1)
    part = (positions - low).astype(np.float32).reshape(-1, *[1] * (values.ndim - 1))
    result: np.ndarray = values[low] * (1 - part) + values[high] * part
    return result
