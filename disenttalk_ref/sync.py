"""3DMM-based lip-sync loss, Eq. 10: whether these sounds and these lip parameters belong together."""

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

EDGE = 1e-4  # keeps the logarithms of the cross entropy finite


class _Encoder(nn.Module):
    """Frames -> embeddings of length 1 that see 7 frames each: (B, T, C) -> (B, T, E)."""

    def __init__(self, inputs: int, hidden: int, embedding: int) -> None:
        super().__init__()
        self.enter = nn.Linear(inputs, hidden)
        self.convolutions = nn.ModuleList(nn.Conv1d(hidden, hidden, 3, padding=1) for _ in range(3))
        self.leave = nn.Linear(hidden, embedding)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.gelu(self.enter(x)).transpose(1, 2)
        for convolution in self.convolutions:
            x = x + F.gelu(convolution(x))
        return F.normalize(self.leave(x.transpose(1, 2)), dim=-1)


class SyncExpert(nn.Module):
    """f_a and f_m of Eq. 10."""

    def __init__(self, audio_width: int, lip_width: int, hidden: int = 64, embedding: int = 64) -> None:
        super().__init__()
        self.audio = _Encoder(audio_width, hidden, embedding)  # f_a
        self.motion = _Encoder(lip_width, hidden, embedding)  # f_m

    def forward(self, audio: torch.Tensor, lips: torch.Tensor) -> torch.Tensor:
        """Cosine of the embeddings, frame by frame: (B, T, A), (B, T, lip dimensions) -> (B, T)."""
        return torch.as_tensor((self.audio(audio) * self.motion(lips)).sum(-1))


def sync_loss(cosine: torch.Tensor, together: float, reduction: str = "mean") -> torch.Tensor:
    """Binary cross entropy of Eq. 10 with y = `together`; the cosine becomes a probability by (1 + cos) / 2.

    The mean over all, or with `reduction="none"` a value for each cosine.
    """
    probability = ((1 + cosine) / 2).clamp(EDGE, 1 - EDGE)
    return F.binary_cross_entropy(probability, torch.full_like(probability, together), reduction=reduction)


def expert_loss(expert: SyncExpert, audio: torch.Tensor, lips: torch.Tensor, shift_frames: int) -> torch.Tensor:
    """Loss that teaches the expert: pairs as recorded are together, audio of another clip or shifted is not.

    Half of the wrong pairs are the same clip rolled by `shift_frames`, half are the next clip of the batch.
    """
    shifted = audio.roll(shift_frames, 1)
    other = audio.roll(1, 0)
    half = torch.arange(len(audio), device=audio.device)[:, None, None] % 2 == 0
    wrong = torch.where(half, shifted, other)
    return (sync_loss(expert(audio, lips), 1.0) + sync_loss(expert(wrong, lips), 0.0)) / 2
