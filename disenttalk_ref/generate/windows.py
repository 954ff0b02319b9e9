"""Any number of frames through a network that was trained on windows of a fixed length.

Windows overlap, and every denoising step averages what they predict, with weights that fall to a window's ends: at each
step neighbours agree on one Z_t, so no seam is left (the idea of Bar-Tal et al. 2023, "MultiDiffusion", over time).
"""

import functools
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch

from chdtf.errors import UserError
from disenttalk_ref.checkpoint import Checkpoint
from disenttalk_ref.diffusion import guided
from disenttalk_ref.model import Heard

MOST_THREADS = 8
JOINT_WINDOWS = 2  # up to so many, both parts of Eq. 9 in one batch cost less than skipping attention in one


def window_starts(frames: int, window: int, overlap: int) -> list[int]:
    """First frames of the fewest windows that cover `frames`, evenly spread, neighbours sharing `overlap` or more.

    Fewer frames than a window are one shorter window, [0]. Raises `ValueError` unless 0 <= overlap < window.
    """
    if not 0 <= overlap < window:
        raise ValueError(f"windows of {window} frames cannot overlap by {overlap}")
    if frames <= window:
        return [0]
    gaps = -(-(frames - window) // (window - overlap))
    return [round(i * (frames - window) / gaps) for i in range(gaps + 1)]


def window_weights(window: int, overlap: int) -> torch.Tensor:
    """Weight of each frame of a window in the average: rises over `overlap` frames, and falls. float32 (window,)."""
    place = torch.arange(1, window + 1, dtype=torch.float32)
    ramp = torch.minimum(place, place.flip(0)) / (overlap + 1)
    return ramp.clamp(max=1.0)


def average(parts: torch.Tensor, starts: list[int], frames: int, weights: torch.Tensor) -> torch.Tensor:
    """Weighted mean of overlapping windows: (W, window, K), first frames, weights (window,) -> (frames, K)."""
    total = parts.new_zeros(frames, parts.shape[2])
    share = parts.new_zeros(frames, 1)
    for part, start in zip(parts, starts, strict=True):
        stop = start + parts.shape[1]
        total[start:stop] += part * weights[:, None]
        share[start:stop] += weights[:, None]
    return total / share


@dataclass(frozen=True)
class Guided:
    """Eq. 9 over any number of frames. Windows are denoised `at_once` at a time: that bounds the memory.

    On a CPU the batches are shared by threads; the batches do not depend on how many, so neither does the result.
    """

    model: Checkpoint
    guidance: float
    overlap: int
    at_once: int
    threads: int = 0  # 0: as many as this process may use

    def predict(self, zt: torch.Tensor, t: int, heard: Heard) -> torch.Tensor:
        """Guided prediction, for Z_t (T, K), and audio as `Denoiser.hear` encodes it, of T frames -> (T, K).

        Raises `UserError` when memory runs out.
        """
        frames, window = len(zt), min(self.model.header.window_frames, len(zt))
        starts = window_starts(frames, window, min(self.overlap, window - 1))
        batches = [starts[i : i + self.at_once] for i in range(0, len(starts), self.at_once)]

        def denoise(batch: list[int]) -> torch.Tensor:
            with torch.inference_mode():
                return self._denoise(zt, t, heard, batch, window)

        parts = torch.cat(list(self._each(denoise, batches, zt.device)))
        if len(starts) == 1:
            return parts[0]
        return average(parts, starts, frames, window_weights(window, self.overlap).to(zt.device))

    def _each(
        self, work: Callable[[list[int]], torch.Tensor], batches: list[list[int]], device: torch.device
    ) -> Iterator[torch.Tensor]:
        threads = min(len(batches), self.threads or _cores()) if device.type == "cpu" else 1
        try:
            if threads == 1:
                yield from map(work, batches)
            else:
                with ThreadPoolExecutor(threads) as pool:
                    yield from pool.map(work, batches)
        except (MemoryError, torch.OutOfMemoryError) as error:
            raise UserError(
                f"out of memory while denoising {self.at_once} windows at once; lower it (windows_at_once of the "
                "sampler), or take a smaller model"
            ) from error

    def _denoise(self, zt: torch.Tensor, t: int, heard: Heard, starts: list[int], window: int) -> torch.Tensor:
        latents = torch.stack([zt[start : start + window] for start in starts])
        audio = tuple(torch.cat([part[:, start : start + window] for start in starts]) for part in heard)
        times = torch.full((len(starts),), t, device=zt.device)
        if self.guidance == 1:
            return torch.as_tensor(self.model.denoiser(latents, times, audio))
        if zt.device.type == "cpu" and len(starts) > JOINT_WINDOWS:
            hearing, deaf = self.model.denoiser(latents, times, audio), self.model.denoiser(latents, times, None)
        else:
            both = tuple(
                torch.cat([part, none.expand_as(part)]) for part, none in zip(audio, self._nothing, strict=True)
            )
            hearing, deaf = self.model.denoiser(latents.repeat(2, 1, 1), times.repeat(2), both).chunk(2)
        return guided(hearing, deaf, self.guidance)

    @functools.cached_property
    def _nothing(self) -> Heard:
        """The empty condition as the blocks hear it, one row (1, 1, 2 D) each."""
        device = self.model.codec.mean.device
        audio = torch.zeros(1, 1, self.model.header.audio.width, device=device)
        return self.model.denoiser.hear(audio, torch.ones(1, dtype=torch.bool, device=device))


def _cores() -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, MOST_THREADS)
