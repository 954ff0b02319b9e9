"""The network of Fig. 2: latent motion encoder and decoder, and the denoising network, Eq. 4-7.

Axes: B batch, T frames, N = 64 expression dimensions, M motion dimensions (expression, then 6 of head pose), K latent
dimensions, D width, A audio features.
"""

from disenttalk_ref.model.codec import MotionCodec
from disenttalk_ref.model.config import PRESETS, REGIONS, ModelConfig
from disenttalk_ref.model.denoiser import Denoiser, Heard

__all__ = ["PRESETS", "REGIONS", "Denoiser", "Heard", "ModelConfig", "MotionCodec"]
