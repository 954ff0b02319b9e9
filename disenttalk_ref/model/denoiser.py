"""The denoising network of Fig. 2: blocks of Eq. 4-7 joined by skip connections."""

import math
from typing import cast

import torch
from torch import nn

from disenttalk_ref.model.config import ModelConfig
from disenttalk_ref.model.interaction import AudioEncoder, AudioInteraction
from disenttalk_ref.model.spatial import RegionAttention
from disenttalk_ref.model.temporal import TemporalConvolution

Heard = tuple[torch.Tensor, ...]  # audio as the blocks hear it: keys and values (B, T, 2 D) of each


class Block(nn.Module):
    """One pass through Eq. 4-7, each part added to its input."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.spatial = RegionAttention(config)
        self.temporal = TemporalConvolution(config.width) if config.temporal else None
        self.interaction = AudioInteraction(config)
        self.film = nn.Linear(config.width, 2 * config.width)  # gamma(t) - 1 and beta(t)
        self.dropout = nn.Dropout(config.dropout)
        nn.init.zeros_(self.film.weight)
        nn.init.zeros_(self.film.bias)

    def forward(self, x: torch.Tensor, heard: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        """(B, T, D), keys and values of the audio (B, T, 2 D), time embedding (B, D) -> (B, T, D)."""
        x = x + self.dropout(self.spatial(x))
        if self.temporal is not None:
            x = x + self.dropout(self.temporal(x))
        gamma, beta = self.film(time)[:, None].chunk(2, -1)
        modulated = (1 + gamma) * self.interaction(x, heard) + beta  # Eq. 7
        return torch.as_tensor(x + self.dropout(modulated))


class Denoiser(nn.Module):
    """epsilon_theta(Z_t, t, A): blocks of Eq. 4-7, the first joined to the last, the second to the last but one."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.enter = nn.ModuleList(nn.Linear(latent, channels) for latent, channels in config.streams)
        self.audio = AudioEncoder(config)
        self.silent = nn.Parameter(torch.zeros(width))  # the empty condition of Eq. 9
        self.time = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.blocks))
        self.skips = nn.ModuleList(nn.Linear(2 * width, width) for _ in range(config.blocks // 2))
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for _, channels in config.streams)
        self.leave = nn.ModuleList(nn.Linear(channels, latent) for latent, channels in config.streams)

    def hear(self, audio: torch.Tensor, dropped: torch.Tensor | None = None) -> Heard:
        """Encode audio once for all denoising steps, which `forward` then takes in its place.

        Args:
            audio: A, float32 (B, T, A).
            dropped: (B,) bool, whose audio is taken away.

        """
        encoded = self.audio(audio)
        if dropped is not None:
            encoded = torch.where(dropped[:, None, None], self.silent, encoded)
        return self._keys_and_values(encoded)

    def forward(
        self,
        zt: torch.Tensor,
        t: torch.Tensor,
        audio: "torch.Tensor | Heard | None",
        dropped: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Predict from Z_t what the diffusion process asks for (the noise in the paper).

        Args:
            zt: Z_t, float32 (B, T, K).
            t: diffusion steps, (B,) integers.
            audio: A, float32 (B, T, A), or what `hear` made of it; None: nothing is heard, the empty set of Eq. 9.
            dropped: (B,) bool, whose audio is taken away; only with A itself.

        """
        if audio is None:
            audio = self._keys_and_values(self.silent[None, None])  # one row for all frames
        heard = self.hear(audio, dropped) if isinstance(audio, torch.Tensor) else audio
        time = self.time(time_embedding(t, self.config.width))
        parts = zt.split([latent for latent, _ in self.config.streams], -1)
        x = torch.cat([enter(part) for enter, part in zip(self.enter, parts, strict=True)], -1)
        early: list[torch.Tensor] = []
        first_late = len(self.blocks) - len(self.skips)
        for number, block in enumerate(self.blocks):
            if number >= first_late:
                x = self.skips[number - first_late](torch.cat([x, early.pop()], -1))
            x = block(x, heard[number], time)
            if number < len(self.skips):
                early.append(x)
        leaving = x.split([channels for _, channels in self.config.streams], -1)
        return torch.cat(
            [leave(norm(part)) for norm, leave, part in zip(self.norms, self.leave, leaving, strict=True)], -1
        )

    def _keys_and_values(self, encoded: torch.Tensor) -> Heard:
        return tuple(cast(Block, block).interaction.hear(encoded) for block in self.blocks)


def time_embedding(t: torch.Tensor, width: int) -> torch.Tensor:
    """Sinusoidal embedding of the diffusion step (Vaswani et al. 2017): (B,) -> (B, width)."""
    rates = torch.exp(-math.log(10_000) * torch.arange(width // 2, device=t.device) / (width // 2))
    angles = t[:, None].float() * rates[None]
    return torch.cat([angles.sin(), angles.cos()], -1)
