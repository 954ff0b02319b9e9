"""Speech in, motion out: Eq. 9 in overlapping windows."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from chdtf.morphable.head_motion import NUM_POSE
from chdtf.schema import NUM_EXPRESSION, SAMPLES_PER_FRAME
from disenttalk_ref.checkpoint import DEFAULT, Checkpoint, load_checkpoint, region_slices
from disenttalk_ref.diffusion import guided
from disenttalk_ref.motion import Motion


@dataclass(frozen=True)
class SamplerConfig:
    """How to sample. Frame rate and sizes are those of the dataset: 25 fps, 16 kHz."""

    seed: int = 0
    sampler: str = "ddim"  # a module of diffusion/samplers
    steps: int = 12  # how many times the network is asked
    guidance: float = 1.2  # s of Eq. 9
    temperature_eye: float = 1.0  # factor of the starting noise, by region
    temperature_lip: float = 0.3
    temperature_global: float = 0.5
    temperature_pose: float = 1.0

    def temperature(self, region: str) -> float:
        """Factor of the starting noise of one region."""
        return float(getattr(self, f"temperature_{region}"))


def generate_motion(
    waveform: np.ndarray,
    num_frames: int,
    checkpoint: Checkpoint | Path = DEFAULT,
    config: SamplerConfig | None = None,
) -> Motion:
    """Motion for speech: mono 16 kHz (S,) -> `num_frames` frames.

    Speech is cut, or padded with silence, to `num_frames` x 640 samples. The result depends on the input and the
    configuration only. Any length: longer than a training window is denoised in overlapping windows, see `_predict`.
    """
    config = config or SamplerConfig()
    model = checkpoint if isinstance(checkpoint, Checkpoint) else load_checkpoint(checkpoint)
    if num_frames <= 0:
        return Motion(np.zeros((0, NUM_EXPRESSION), np.float32), np.zeros((0, NUM_POSE), np.float32))
    samples = num_frames * SAMPLES_PER_FRAME
    fitted = np.zeros(samples, np.float32)
    fitted[: min(samples, len(waveform))] = waveform[:samples]
    audio = torch.from_numpy(model.header.audio.extract(fitted))
    with torch.inference_mode():
        latent = model.diffusion.sample(
            lambda zt, t: _predict(model, zt, t, audio, config.guidance),
            _noise(model, num_frames, config),
            config.steps,
            config.sampler,
        )
        expression: np.ndarray = model.codec.decode(latent)[0, :, :NUM_EXPRESSION].cpu().numpy()
    return Motion(expression, np.zeros((num_frames, NUM_POSE), np.float32))


def _noise(model: Checkpoint, num_frames: int, config: SamplerConfig) -> torch.Tensor:
    """Starting noise (1, T, K) on the CPU's generator, so that every device starts alike."""
    generator = torch.Generator().manual_seed(config.seed)
    noise = torch.randn(num_frames, model.header.model.num_latent, generator=generator)
    for region, part in region_slices(model.header.model).items():
        noise[:, part] *= config.temperature(region)
    return noise[None].to(model.codec.mean.device)


def _predict(
    model: Checkpoint, zt: torch.Tensor, t: torch.Tensor, audio: torch.Tensor, guidance: float
) -> torch.Tensor:
    """Guided prediction (1, T, K), Eq. 9, in windows of the training length that overlap by half.

    Windows are averaged at every step, with weights that fall to their edges: neighbours agree and no seam shows.
    """
    frames, window = zt.shape[1], min(model.header.window_frames, zt.shape[1])
    starts = sorted({*range(0, frames - window, max(1, window // 2)), frames - window})
    index = torch.tensor(starts)[:, None] + torch.arange(window)[None]  # (windows, window)
    index = index.to(zt.device)
    latents, heard = zt[0, index], audio.to(zt.device)[index]
    times = t.expand(len(starts))
    predicted: torch.Tensor = model.denoiser(latents, times, heard)
    if guidance != 1:
        dropped = torch.ones(len(starts), dtype=torch.bool, device=zt.device)
        predicted = guided(predicted, model.denoiser(latents, times, heard, dropped), guidance)
    if len(starts) == 1:
        return predicted
    ramp = torch.arange(1, window + 1, device=zt.device).float()
    weight = torch.minimum(ramp, ramp.flip(0))[None, :, None].expand(len(starts), -1, 1)
    total = zt.new_zeros(frames, zt.shape[2]).index_add(0, index.flatten(), (predicted * weight).flatten(0, 1))
    share = zt.new_zeros(frames, 1).index_add(0, index.flatten(), weight.reshape(-1, 1))
    return (total / share)[None]
