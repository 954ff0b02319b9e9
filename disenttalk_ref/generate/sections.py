"""Audio features in, latents out, a section of frames at a time: memory does not grow with the length of the speech.

A section is denoised together with some frames ahead of it, which are thrown away and denoised again with the next
section, and behind frames that are decided already. Those stand, at every denoising step, where they stood when they
were decided: the network continues them, and no seam is left. Everything is a function of the frame's number, so how
the features are cut into pieces when they are given does not matter.
"""

from dataclasses import dataclass
from typing import cast

import numpy as np
import torch

from disenttalk_ref.checkpoint import Checkpoint
from disenttalk_ref.generate.windows import Guided
from disenttalk_ref.model import Heard

NOISE_BLOCK_FRAMES = 64


@dataclass(frozen=True)
class Policy:
    """How speech is cut into sections."""

    section_frames: int  # decided at a time
    ahead_frames: int  # denoised with them and decided later
    behind_frames: int  # decided before, seen by the network

    def __post_init__(self) -> None:
        if self.section_frames < 1 or self.ahead_frames < 0 or self.behind_frames < 0:
            raise ValueError(f"not a way to cut speech into sections: {self}")


class FrameNoise:
    """Standard normal noise (K,) for each frame, a function of seed, step and frame; asked for in order."""

    def __init__(self, seed: int, step: int, num_latent: int) -> None:
        state = np.random.SeedSequence([seed, step]).generate_state(1, np.uint64)
        self._generator = torch.Generator().manual_seed(int(state[0] >> np.uint64(1)))
        self._first, self._held = 0, torch.zeros(0, num_latent)

    def rows(self, first: int, last: int) -> torch.Tensor:
        """Noise of frames first..last - 1, (last - first, K); `first` must not go back."""
        while self._first + len(self._held) < last:
            block = torch.randn(NOISE_BLOCK_FRAMES, self._held.shape[1], generator=self._generator)
            self._held = torch.cat([self._held, block])
        self._held, self._first = self._held[first - self._first :], first
        return self._held[: last - first]


class Sections:
    """One walk through the speech: give feature rows as they come, take latents as they are decided."""

    def __init__(
        self,
        guided: Guided,
        policy: Policy,
        seed: int,
        temperature: torch.Tensor,
        sampler: str = "ddim",
        num_steps: int = 12,
    ) -> None:
        """`temperature` (K,) is the factor of the noise of each latent dimension."""
        self.guided, self.policy, self.sampler = guided, policy, sampler
        self.times = self.model.diffusion.times(num_steps)
        self.decided = 0  # frames
        self._seed, self._temperature = seed, temperature
        self._noises: dict[int, FrameNoise] = {}  # by denoising step; 0: that of the start
        self._rows = np.zeros((0, self.model.header.audio.width), np.float32)  # from frame `_first_row` on
        self._first_row = 0
        self._now: list[torch.Tensor] = []  # Z_t by denoising step, of the section at hand
        self._behind = [torch.zeros(0, len(temperature), device=self._device)] * num_steps  # and of the frames before

    @property
    def model(self) -> Checkpoint:
        """The model that denoises."""
        return self.guided.model

    @property
    def _device(self) -> torch.device:
        return self.model.codec.mean.device

    def push(self, rows: np.ndarray) -> torch.Tensor:
        """Give the next rows of audio features, (n, A); returns the latents decided by them, (m, K)."""
        self._rows = np.concatenate([self._rows, rows]) if len(self._rows) else rows
        return self._decide(last=False)

    def finish(self) -> torch.Tensor:
        """The speech has ended: the latents of all frames that were not decided yet."""
        return self._decide(last=True)

    def _decide(self, last: bool) -> torch.Tensor:
        size, ahead = self.policy.section_frames, self.policy.ahead_frames
        given = self._first_row + len(self._rows)
        done = [torch.zeros(0, len(self._temperature), device=self._device)]
        with torch.inference_mode():
            while self.decided + size + ahead <= given:
                done.append(self._section(self.decided + size + ahead)[:size])
                self._advance(size)
            if last and self.decided < given:
                done.append(self._section(given))
                self._advance(given - self.decided)
        return torch.cat(done)

    def _section(self, stop: int) -> torch.Tensor:
        """Latents of all frames from the first undecided one to `stop`, and their way there in `_now`."""
        heard = self._hear(stop)
        behind = len(self._behind[0])
        self._now = []

        def predict(zt: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
            step = len(self._now)
            self._now.append(zt[0])
            whole = torch.cat([self._behind[step], zt[0]])
            return self.guided.predict(whole, int(t[0]), heard)[None, behind:]

        latents = self.model.diffusion.sample(
            predict, self._noise(stop, 0), self.times, self.sampler, lambda: self._noise(stop, len(self._now))
        )
        return latents[0]

    def _advance(self, size: int) -> None:
        """`size` more frames are decided: remember the way of those that the next section sees."""
        keep = self.policy.behind_frames
        joined = (torch.cat([old, new[:size]]) for old, new in zip(self._behind, self._now, strict=True))
        self._behind = [both[len(both) - min(keep, len(both)) :].clone() for both in joined]
        self.decided += size
        needed = max(0, self.decided - len(self._behind[0]) - self._context)
        self._rows, self._first_row = self._rows[needed - self._first_row :], needed

    @property
    def _context(self) -> int:
        """Rows before a frame that the audio encoder hears."""
        layers = self.model.denoiser.audio.convolutions
        return sum(cast(torch.nn.Conv1d, layer).kernel_size[0] - 1 for layer in layers)

    def _hear(self, stop: int) -> Heard:
        """Audio of the frames behind and of those up to `stop`, encoded."""
        rows = torch.from_numpy(self._rows[: stop - self._first_row]).to(self._device)[None]
        skip = self.decided - len(self._behind[0]) - self._first_row
        return tuple(part[:, skip:] for part in self.model.denoiser.hear(rows))

    def _noise(self, stop: int, step: int) -> torch.Tensor:
        if step not in self._noises:
            self._noises[step] = FrameNoise(self._seed, step, len(self._temperature))
        noise = self._noises[step].rows(self.decided, stop)
        return (noise.to(self._device) * self._temperature)[None]
