"""E_3d and D_3d of Fig. 2: motion to latents and back."""

import torch
from torch import nn

from disenttalk_ref.model.config import ModelConfig


class MotionCodec(nn.Module):
    """E_3d and D_3d: one linear encoder and decoder a region and one for head pose, motion (T, M) to latent (T, K).

    A linear autoencoder's optimum is known in closed form: the principal components, here of the vertex displacements
    that a region's dimensions cause. `fit` computes them; on the training data latents have mean 0 and variance 1.
    """

    encode_matrix: torch.Tensor
    decode_matrix: torch.Tensor
    mean: torch.Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("encode_matrix", torch.zeros(config.num_motion, config.num_latent))
        self.register_buffer("decode_matrix", torch.zeros(config.num_latent, config.num_motion))
        self.register_buffer("mean", torch.zeros(config.num_motion))

    def fit(self, motion: torch.Tensor, regions: tuple[tuple[int, ...], ...], weight: torch.Tensor) -> float:
        """Fit to valid frames of motion; returns the share of their variance that the latents keep.

        Args:
            motion: float32 (S, M): expression, then head pose as `chdtf.morphable.head_motion` has it.
            regions: expression dimensions of each of `REGIONS`.
            weight: float32 (64,): how far each expression dimension moves the face. Head pose counts as it is: a
                radian, an eye distance and a natural unit of scale move a face by about the same.

        """
        weight = torch.cat([weight, weight.new_ones(self.config.num_motion - len(weight))])
        self.mean.copy_(motion.mean(0))
        self.encode_matrix.zero_()
        self.decode_matrix.zero_()
        start, kept, total = 0, 0.0, 0.0
        for dimensions, count in self.config.codec_blocks(regions):
            index = torch.tensor(dimensions, dtype=torch.long)
            moved = ((motion - self.mean) * weight)[:, index].double()
            values, vectors = torch.linalg.eigh(moved.T @ moved / len(moved))
            values, vectors = values.flip(0)[:count].clamp_min(1e-12), vectors.flip(1)[:, :count]
            stop = start + count
            self.encode_matrix[index, start:stop] = (weight[index, None] * vectors / values.sqrt()).float()
            self.decode_matrix[start:stop, index] = ((vectors * values.sqrt()).T / weight[index]).float()
            kept, total, start = kept + float(values.sum()), total + float(moved.square().mean(0).sum()), stop
        return kept / total

    def encode(self, motion: torch.Tensor) -> torch.Tensor:
        """E_3d: (..., M) -> (..., K)."""
        return (motion - self.mean) @ self.encode_matrix

    def decode(self, latent: torch.Tensor) -> torch.Tensor:
        """D_3d: (..., K) -> (..., M)."""
        return latent @ self.decode_matrix + self.mean
