"""The network of Fig. 2: latent motion encoder and decoder, and the denoising network, Eq. 4-7.

Axes: B batch, T frames, N = 64 expression dimensions, K latent dimensions, D width, A audio features. The regions are
always in the order of `REGIONS`, and so are the latent dimensions and the channels of the network.
"""

import math
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

REGIONS = ("eye", "lip", "global")
FAR = 64  # offsets beyond this many frames share one attention bias


@dataclass(frozen=True)
class ModelConfig:
    """Size of the network; `PRESETS` names two."""

    eye_latent: int = 8
    lip_latent: int = 13
    global_latent: int = 43
    eye_width: int = 32
    lip_width: int = 64
    global_width: int = 32
    blocks: int = 4
    heads: int = 4
    local_window: int = 5  # k of the paper
    audio_width: int = 320
    audio_lookahead_frames: int = 4  # lips move before the sound that they make is heard
    audio_context_frames: int = 50
    dropout: float = 0.1

    @property
    def latents(self) -> tuple[int, ...]:
        """Latent dimensions of each region."""
        return (self.eye_latent, self.lip_latent, self.global_latent)

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of each region."""
        return (self.eye_width, self.lip_width, self.global_width)

    @property
    def width(self) -> int:
        """D, all regions together."""
        return sum(self.widths)


PRESETS = {
    "tiny": ModelConfig(
        eye_latent=8, lip_latent=8, global_latent=12, eye_width=32, lip_width=48, global_width=16, blocks=3
    ),
    "paper": ModelConfig(eye_width=128, lip_width=256, global_width=128, blocks=8, heads=8),
}


class MotionCodec(nn.Module):
    """E_3d and D_3d: one linear encoder and decoder a region, between expression E (T, 64) and latent Z (T, K).

    A linear autoencoder's optimum is known in closed form: the principal components, here of the vertex displacements
    that a region's dimensions cause. `fit` computes them; on the training data latents have mean 0 and variance 1.
    """

    encode_matrix: torch.Tensor
    decode_matrix: torch.Tensor
    mean: torch.Tensor

    def __init__(self, num_expression: int, num_latent: int) -> None:
        super().__init__()
        self.register_buffer("encode_matrix", torch.zeros(num_expression, num_latent))
        self.register_buffer("decode_matrix", torch.zeros(num_latent, num_expression))
        self.register_buffer("mean", torch.zeros(num_expression))

    def fit(
        self,
        expression: torch.Tensor,
        regions: tuple[tuple[int, ...], ...],
        latents: tuple[int, ...],
        weight: torch.Tensor,
    ) -> float:
        """Fit to expressions (M, 64), `weight` (64,) displacements a dimension; returns the variance explained."""
        self.mean.copy_(expression.mean(0))
        self.encode_matrix.zero_()
        self.decode_matrix.zero_()
        start, kept, total = 0, 0.0, 0.0
        for dimensions, count in zip(regions, latents, strict=True):
            index = torch.tensor(dimensions, dtype=torch.long)
            moved = ((expression - self.mean) * weight)[:, index].double()
            values, vectors = torch.linalg.eigh(moved.T @ moved / len(moved))
            values, vectors = values.flip(0)[:count].clamp_min(1e-12), vectors.flip(1)[:, :count]
            stop = start + count
            self.encode_matrix[index, start:stop] = (weight[index, None] * vectors / values.sqrt()).float()
            self.decode_matrix[start:stop, index] = ((vectors * values.sqrt()).T / weight[index]).float()
            kept, total, start = kept + float(values.sum()), total + float(moved.square().mean(0).sum()), stop
        return kept / total

    def encode(self, expression: torch.Tensor) -> torch.Tensor:
        """E_3d: (..., 64) -> (..., K)."""
        return (expression - self.mean) @ self.encode_matrix

    def decode(self, latent: torch.Tensor) -> torch.Tensor:
        """D_3d: (..., K) -> (..., 64)."""
        return latent @ self.decode_matrix + self.mean


def _offsets(length: int, device: torch.device) -> torch.Tensor:
    """Key position minus query position, (T, T)."""
    position = torch.arange(length, device=device)
    return position[None] - position[:, None]


class Attention(nn.Module):
    """Multi-head attention over time with a learned bias for each offset between key and query."""

    def __init__(self, width: int, key_width: int, heads: int, spread: float) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(key_width, 2 * width)
        self.out = nn.Linear(width, width)
        slopes = spread * 2.0 ** -torch.arange(heads)
        self.bias = nn.Parameter(-slopes[:, None] * torch.arange(-FAR, FAR + 1).abs())

    def forward(self, x: torch.Tensor, keys: torch.Tensor, allowed: torch.Tensor | None = None) -> torch.Tensor:
        """Queries (B, T, D), keys (B, T, C), `allowed` (T, T) bool -> (B, T, D)."""
        batch, length, width = x.shape
        shape = (batch, length, self.heads, width // self.heads)
        key, value = (part.reshape(shape).transpose(1, 2) for part in self.key_value(keys).chunk(2, -1))
        bias = self.bias[:, _offsets(length, x.device).clamp(-FAR, FAR) + FAR]  # (heads, T, T)
        if allowed is not None:
            bias = bias.masked_fill(~allowed, -torch.inf)
        query = self.query(x).reshape(shape).transpose(1, 2) / math.sqrt(width // self.heads)
        mixed = (query @ key.transpose(2, 3) + bias).softmax(-1) @ value  # (B, heads, T, D / heads)
        return torch.as_tensor(self.out(mixed.transpose(1, 2).reshape(batch, length, width)))


class RegionAttention(nn.Module):
    """Hierarchical region-aware attention, Eq. 4: F_spatial = W_f [Attention(E_r)], r in {eye, lip, global}."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.widths = list(config.widths)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for width in self.widths)
        self.attentions = nn.ModuleList(Attention(width, width, config.heads, 0.5) for width in self.widths)
        self.fuse = nn.Linear(config.width, config.width)  # W_f

    def regions(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Attention(E_r) of each region, before fusion: (B, T, D) -> (B, T, D_r) each."""
        parts = x.split(self.widths, -1)
        normed = [norm(part) for norm, part in zip(self.norms, parts, strict=True)]
        return [attention(part, part) for attention, part in zip(self.attentions, normed, strict=True)]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, T, D) -> (B, T, D)."""
        return torch.as_tensor(self.fuse(torch.cat(self.regions(x), -1)))


class TemporalConvolution(nn.Module):
    """Multi-scale temporal convolution, Eq. 5: F_temp = F_pw(Concat{F_dw^i(F_spatial)}), dilation 2^i, i = 0..2."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.depthwise = nn.ModuleList(
            nn.Conv1d(width, width, 3, padding=2**i, dilation=2**i, groups=width) for i in range(3)
        )
        self.pointwise = nn.Linear(3 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, T, D) -> (B, T, D)."""
        channels = self.norm(x).transpose(1, 2)
        scales = torch.cat([convolution(channels) for convolution in self.depthwise], 1)
        return torch.as_tensor(self.pointwise(F.gelu(scales).transpose(1, 2)))


class AudioInteraction(nn.Module):
    """Dual-path audio-expression interaction, Eq. 6: F_final = W_o [F_conv(F_temp); F_attn(F_temp, A)] + b_o."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width = config.width
        self.lookahead, self.context = config.audio_lookahead_frames, config.audio_context_frames
        self.norm = nn.LayerNorm(width)
        self.local = nn.Conv1d(width, width, config.local_window, padding=config.local_window // 2)  # F_conv
        self.cross = Attention(width, width, config.heads, 1.0)  # F_attn
        self.out = nn.Linear(2 * width, width)  # W_o, b_o

    def listen(self, x: torch.Tensor, audio: torch.Tensor) -> torch.Tensor:
        """F_attn: causal cross-attention; frame i hears audio rows i - context .. i + lookahead. (B, T, D)."""
        offsets = _offsets(x.shape[1], x.device)
        allowed = (offsets <= self.lookahead) & (offsets >= -self.context)
        return torch.as_tensor(self.cross(x, audio, allowed))

    def forward(self, x: torch.Tensor, audio: torch.Tensor) -> torch.Tensor:
        """(B, T, D), encoded audio (B, T, D) -> (B, T, D)."""
        normed = self.norm(x)
        local = self.local(normed.transpose(1, 2)).transpose(1, 2)
        return torch.as_tensor(self.out(F.gelu(torch.cat([local, self.listen(normed, audio)], -1))))


class Block(nn.Module):
    """One pass through Eq. 4-7, each part added to its input."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.spatial = RegionAttention(config)
        self.temporal = TemporalConvolution(config.width)
        self.interaction = AudioInteraction(config)
        self.film = nn.Linear(config.width, 2 * config.width)  # gamma(t) - 1 and beta(t)
        self.dropout = nn.Dropout(config.dropout)
        nn.init.zeros_(self.film.weight)
        nn.init.zeros_(self.film.bias)

    def forward(self, x: torch.Tensor, audio: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        """(B, T, D), encoded audio (B, T, D), time embedding (B, D) -> (B, T, D)."""
        x = x + self.dropout(self.spatial(x))
        x = x + self.dropout(self.temporal(x))
        gamma, beta = self.film(time)[:, None].chunk(2, -1)
        modulated = (1 + gamma) * self.interaction(x, audio) + beta  # Eq. 7
        return torch.as_tensor(x + self.dropout(modulated))


class AudioEncoder(nn.Module):
    """Audio features -> width of the network, by causal convolutions: Eq. 6 alone decides how far ahead is heard."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.enter = nn.Linear(config.audio_width, config.width)
        self.convolutions = nn.ModuleList(nn.Conv1d(config.width, config.width, 3) for _ in range(2))
        self.dropout = nn.Dropout(config.dropout)
        self.norm = nn.LayerNorm(config.width)

    def forward(self, audio: torch.Tensor) -> torch.Tensor:
        """(B, T, A) -> (B, T, D)."""
        x = F.gelu(self.enter(audio)).transpose(1, 2)
        for convolution in self.convolutions:
            x = x + self.dropout(F.gelu(convolution(F.pad(x, (2, 0)))))
        return torch.as_tensor(self.norm(x.transpose(1, 2)))


class Denoiser(nn.Module):
    """epsilon_theta(Z_t, t, A): blocks of Eq. 4-7, the first joined to the last, the second to the last but one."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        pairs = list(zip(config.latents, config.widths, strict=True))
        self.enter = nn.ModuleList(nn.Linear(latent, channels) for latent, channels in pairs)
        self.audio = AudioEncoder(config)
        self.silent = nn.Parameter(torch.zeros(width))  # the empty condition of Eq. 9
        self.time = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.blocks))
        self.skips = nn.ModuleList(nn.Linear(2 * width, width) for _ in range(config.blocks // 2))
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for channels in config.widths)
        self.leave = nn.ModuleList(nn.Linear(channels, latent) for latent, channels in pairs)

    def forward(
        self, zt: torch.Tensor, t: torch.Tensor, audio: torch.Tensor, dropped: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Z_t (B, T, K), t (B,), A (B, T, A), `dropped` (B,) bool: audio taken away -> (B, T, K)."""
        heard = self.audio(audio)
        if dropped is not None:
            heard = torch.where(dropped[:, None, None], self.silent, heard)
        time = self.time(time_embedding(t, self.config.width))
        parts = zt.split(list(self.config.latents), -1)
        x = torch.cat([enter(part) for enter, part in zip(self.enter, parts, strict=True)], -1)
        early: list[torch.Tensor] = []
        first_late = len(self.blocks) - len(self.skips)
        for number, block in enumerate(self.blocks):
            if number >= first_late:
                x = self.skips[number - first_late](torch.cat([x, early.pop()], -1))
            x = block(x, heard, time)
            if number < len(self.skips):
                early.append(x)
        leaving = zip(self.norms, self.leave, x.split(list(self.config.widths), -1), strict=True)
        return torch.cat([leave(norm(part)) for norm, leave, part in leaving], -1)


def time_embedding(t: torch.Tensor, width: int) -> torch.Tensor:
    """Sinusoidal embedding of the diffusion step (Vaswani et al. 2017): (B,) -> (B, width)."""
    rates = torch.exp(-math.log(10_000) * torch.arange(width // 2, device=t.device) / (width // 2))
    angles = t[:, None].float() * rates[None]
    return torch.cat([angles.sin(), angles.cos()], -1)
