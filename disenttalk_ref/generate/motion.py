"""Speech in, motion out: Eq. 9 over any number of frames."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from chdtf.errors import UserError
from chdtf.morphable.head_motion import NUM_POSE
from chdtf.schema import NUM_EXPRESSION, SAMPLES_PER_FRAME
from chdtf.threads import one_thread
from disenttalk_ref.audio import AudioFeatures, normalise_loudness
from disenttalk_ref.audio.loudness import checked
from disenttalk_ref.checkpoint import DEFAULT, Checkpoint, load_checkpoint
from disenttalk_ref.diffusion.samplers import sampler_names
from disenttalk_ref.generate.control import EASE_FRAMES
from disenttalk_ref.generate.sections import Policy, Sections
from disenttalk_ref.generate.windows import Guided
from disenttalk_ref.motion import Motion

SECTION_FRAMES = 1536  # a minute: the most that is denoised together
ROWS_AT_ONCE = 512  # frames whose features are computed together


@dataclass(frozen=True)
class SamplerConfig:
    """How to sample. Frame rate and sizes are those of the dataset: 25 fps, 16 kHz.

    Raises `UserError` for values out of range.
    """

    seed: int = 0
    sampler: str = "dpmpp"  # a module of disenttalk_ref/diffusion/samplers
    steps: int = 8  # how many times the network is asked, up to the T of the checkpoint
    guidance: float = 1.2  # s of Eq. 9
    temperature_eye: float = 1.1  # factor of the noise, by region
    temperature_lip: float = 0.3
    temperature_global: float = 0.5
    temperature_pose: float = 0.7
    pose_scale: float = 1.0  # factor of the head's motion; 0: a still head
    windows_at_once: int = 16  # windows that are denoised together: memory

    def __post_init__(self) -> None:
        if self.sampler not in sampler_names():
            raise UserError(f"sampler {self.sampler!r} is not known; choose one of {', '.join(sampler_names())}")
        if self.seed < 0:
            raise UserError(f"seed {self.seed} is negative; give 0 or more")
        for name in ("steps", "windows_at_once"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} {getattr(self, name)}: give 1 or more")
        for name in ("guidance", "pose_scale", *(f"temperature_{part}" for part in ("eye", "lip", "global", "pose"))):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise UserError(f"{name} {value}: give a number of 0 or more")

    def temperature(self, part: str) -> float:
        """Factor of the noise of one region, or of "pose"."""
        return float(getattr(self, f"temperature_{part}"))


def generate_motion(
    waveform: np.ndarray,
    num_frames: int,
    checkpoint: Checkpoint | Path = DEFAULT,
    config: SamplerConfig | None = None,
) -> Motion:
    """Motion for speech: mono 16 kHz (S,) -> `num_frames` frames; memory beyond input and output is bounded.

    Speech is cut, or padded with silence, to `num_frames` x 640 samples. The result depends on the input and the
    configuration only, not on the number of cores. Raises `UserError` for NaN in the speech, and when memory runs out.
    """
    config = config or SamplerConfig()
    model = checkpoint if isinstance(checkpoint, Checkpoint) else load_checkpoint(checkpoint)
    sections = new_sections(model, config, _offline(model.header.window_frames), _overlap(model.header.window_frames))
    decoder = Decoder(model, config)
    with one_thread():  # of each operation; batches of windows are shared by threads
        parts = [decoder(sections.push(rows)) for rows in _rows(model, waveform, max(0, num_frames))]
        return joined([*parts, decoder(sections.finish())])


def _offline(window_frames: int) -> Policy:
    return Policy(max(SECTION_FRAMES, window_frames), window_frames // 2, window_frames // 2)


def _overlap(window_frames: int) -> int:
    """Frames that neighbouring windows share."""
    return window_frames // 3


def new_sections(model: Checkpoint, config: SamplerConfig, policy: Policy, overlap: int) -> Sections:
    """A walk of `model` as `config` says. Raises `UserError` for more steps than the model has."""
    if config.steps > model.header.diffusion_steps:
        raise UserError(f"steps {config.steps}: this checkpoint has {model.header.diffusion_steps}; give no more")
    slices = model.header.model.latent_slices
    temperature = torch.ones(model.header.model.num_latent)
    for part, place in slices.items():
        temperature[place] = config.temperature(part)
    guided = Guided(model, config.guidance, overlap, config.windows_at_once)
    device = model.codec.mean.device
    return Sections(guided, policy, config.seed, temperature.to(device), config.sampler, config.steps)


class Decoder:
    """Latents become motion, piece by piece; the head starts in the source's pose and moves away from it."""

    def __init__(self, model: Checkpoint, config: SamplerConfig) -> None:
        self.model, self.pose_scale = model, config.pose_scale
        self._frame = 0
        self._first: np.ndarray | None = None  # the pose that the head would start in

    def __call__(self, latents: torch.Tensor) -> Motion:
        """The next frames' latents, (n, K)."""
        with torch.inference_mode():
            motion: np.ndarray = self.model.codec.decode(latents).cpu().numpy()
        return Motion(motion[:, :NUM_EXPRESSION], self._anchored(motion[:, NUM_EXPRESSION:]))

    def _anchored(self, pose: np.ndarray) -> np.ndarray:
        """pose(t) - pose(0) exp(-t / 12 frames), times `pose_scale`: zero in the first frame."""
        if pose.shape[1] == 0:
            return np.zeros((len(pose), NUM_POSE), np.float32)
        if self._first is None and len(pose):
            self._first = pose[0].copy()
        frames = np.arange(self._frame, self._frame + len(pose))
        self._frame += len(pose)
        start = np.zeros(NUM_POSE) if self._first is None else self._first
        eased: np.ndarray = (pose - start * np.exp(-frames / EASE_FRAMES)[:, None]) * self.pose_scale
        return eased.astype(np.float32)


def joined(parts: list[Motion]) -> Motion:
    """Motions one after the other."""
    return Motion(np.concatenate([part.expression for part in parts]), np.concatenate([part.pose for part in parts]))


def _rows(model: Checkpoint, waveform: np.ndarray, num_frames: int) -> Iterator[np.ndarray]:
    """Audio features of `num_frames` frames, piece by piece where the extractor can."""
    features, samples = model.header.audio, num_frames * SAMPLES_PER_FRAME
    fitted = checked(waveform)[:samples].astype(np.float32, copy=False)
    if len(fitted) < samples:
        fitted = np.concatenate([fitted, np.zeros(samples - len(fitted), np.float32)])
    if not isinstance(features, AudioFeatures):
        yield features.extract(fitted, str(model.codec.mean.device))
        return
    normal, context = normalise_loudness(fitted), features.context_samples
    for first in range(0, num_frames, ROWS_AT_ONCE):
        last = min(num_frames, first + ROWS_AT_ONCE)
        begin, end = first * SAMPLES_PER_FRAME - context, last * SAMPLES_PER_FRAME + context
        piece = normal[max(0, begin) : min(samples, end)]
        piece = np.pad(piece, (max(0, -begin), max(0, end - samples)))
        with torch.inference_mode():
            yield features.rows(torch.from_numpy(piece)[None])[0].numpy()
