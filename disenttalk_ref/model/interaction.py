"""Audio-expression cross-attention in two paths, Eq. 6, and the encoder of the audio that it hears."""

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from disenttalk_ref.model.attention import Attention
from disenttalk_ref.model.config import ModelConfig


class AudioInteraction(nn.Module):
    """Dual-path audio-expression interaction, Eq. 6: F_final = W_o [F_conv(F_temp); F_attn(F_temp, A)] + b_o."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width, window = config.width, config.local_window
        back, ahead = config.audio_context_frames, config.audio_lookahead_frames
        self.norm = nn.LayerNorm(width)
        self.local = nn.Conv1d(width, width, window, padding=window // 2) if config.local else None  # F_conv
        self.cross = Attention(width, config.heads, 1.0, back, ahead)  # F_attn
        self.out = nn.Linear(2 * width if config.local else width, width)  # W_o, b_o

    def hear(self, encoded: torch.Tensor) -> torch.Tensor:
        """Keys and values of encoded audio: (B, T, D) -> (B, T, 2 D)."""
        return torch.as_tensor(self.cross.key_value(encoded))

    def listen(self, x: torch.Tensor, heard: torch.Tensor) -> torch.Tensor:
        """F_attn: causal cross-attention; frame i hears rows i - context .. i + lookahead. (B, T, D)."""
        return torch.as_tensor(self.cross(x, heard))

    def forward(self, x: torch.Tensor, heard: torch.Tensor) -> torch.Tensor:
        """(B, T, D), keys and values of the audio (B, T, 2 D) -> (B, T, D)."""
        normed = self.norm(x)
        paths = [self.listen(normed, heard)]
        if self.local is not None:
            paths.insert(0, self.local(normed.transpose(1, 2)).transpose(1, 2))
        return torch.as_tensor(self.out(F.gelu(torch.cat(paths, -1))))


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
