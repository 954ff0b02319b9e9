"""Generated weights of EchoMimic: upstream's own networks in a reduced configuration, in upstream's files.

What its code fixes stays: 320 channels of the U-Nets' first level (the face locator adds to it), the face locator,
Whisper's encoder (384 numbers a frame). Reduced are the other levels, one layer a block, a small VAE, and Whisper's
decoder, which nothing calls. The face detector's weights come with its package and are real.
"""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL
from omegaconf import OmegaConf
from src.models.face_locator import FaceLocator
from src.models.unet_2d_condition import UNet2DConditionModel
from src.models.unet_3d_echo import EchoUNet3DConditionModel
from src.models.whisper.whisper.model import ModelDimensions, Whisper

LEVELS = (320, 128, 64, 64)
SPREAD = 0.02  # standard deviation of weights that upstream would start at zero


def main(folder: Path) -> None:
    """Write all files below `folder`, named as upstream looks for them."""
    torch.manual_seed(0)
    root = folder / "pretrained_weights"
    (root / "audio_processor").mkdir(parents=True, exist_ok=True)
    _speech(root)
    _stable_diffusion(root)
    _denoiser(root)
    locator = FaceLocator(320, conditioning_channels=1, block_out_channels=(16, 32, 96, 256))
    torch.save(_state(locator), str(root / "face_locator.pth"))


def _state(network: Any) -> dict:
    """Its weights, none of them all zero: such a layer would hide what goes through it."""
    with torch.no_grad():
        for weight in network.parameters():
            if weight.dim() > 1 and not weight.any():
                weight.normal_(std=SPREAD)
    return network.state_dict()


def _speech(root: Path) -> None:
    tiny = ModelDimensions(
        n_mels=80,
        n_audio_ctx=1500,
        n_audio_state=384,
        n_audio_head=6,
        n_audio_layer=4,
        n_vocab=64,
        n_text_ctx=448,
        n_text_state=384,
        n_text_head=6,
        n_text_layer=1,
    )
    network = Whisper(tiny)
    with torch.no_grad():  # upstream leaves it as it lay in memory
        network.decoder.positional_embedding.normal_(std=SPREAD)
    file = {"dims": asdict(tiny), "model_state_dict": _state(network)}
    torch.save(file, str(root / "audio_processor" / "whisper_tiny.pt"))


def _stable_diffusion(root: Path) -> None:
    unet = UNet2DConditionModel(
        sample_size=64, layers_per_block=1, block_out_channels=LEVELS, cross_attention_dim=768, attention_head_dim=8
    )
    unet.save_pretrained(str(root / "sd-image-variations-diffusers" / "unet"), safe_serialization=False)
    torch.save(_state(unet), str(root / "reference_unet.pth"))
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(16, 16, 32, 32),
        norm_num_groups=8,
        latent_channels=4,
    )
    vae.save_pretrained(str(root / "sd-vae-ft-mse"), safe_serialization=False)


def _denoiser(root: Path) -> None:
    """Built as upstream builds it, without the motion module's file, which is written here."""
    settings = OmegaConf.load("configs/inference/inference_v2.yaml").unet_additional_kwargs
    unet = EchoUNet3DConditionModel.from_pretrained_2d(
        root / "sd-image-variations-diffusers", root / "none", subfolder="unet", unet_additional_kwargs=settings
    )
    state = _state(unet)
    torch.save(state, str(root / "denoising_unet.pth"))
    motion = {name: value for name, value in state.items() if "motion_modules" in name}
    torch.save(motion, str(root / "motion_module.pth"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
