"""Generated weights of AniPortrait: upstream's own networks in a reduced configuration, in upstream's files.

What its code fixes stays: 320, 640, 1280 and 1280 channels of both U-Nets (the pose guider adds to them), the pose
guider itself, the 478 vertices of the mesh. Reduced are one layer a block, cross attention over 32 numbers, a motion
module of an eighth of the width (`drive.py` says so to upstream), a small VAE, CLIP and wav2vec 2.0.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL
from omegaconf import OmegaConf
from src.audio_models.model import Audio2MeshModel
from src.audio_models.pose_model import Audio2PoseModel
from src.models.pose_guider import PoseGuider
from src.models.unet_2d_condition import UNet2DConditionModel
from src.models.unet_3d import UNet3DConditionModel
from transformers import (
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2Model,
)

WIDTH = 32  # of CLIP's embedding, which cross attention looks at
SPREAD = 0.02  # standard deviation of weights that upstream would start at zero
DIVISION = 8  # of the motion module's width, as in drive.py


def main(folder: Path) -> None:
    """Write all files below `folder`, named as upstream looks for them."""
    torch.manual_seed(0)
    root = folder / "pretrained_model"
    root.mkdir(parents=True, exist_ok=True)
    _speech(root)
    _stable_diffusion(root)
    _denoiser(root)
    torch.save(_state(PoseGuider(noise_latent_channels=320, use_ca=True)), str(root / "pose_guider.pth"))


def _state(network: Any) -> dict:
    """Its weights, none of them all zero: such a layer would hide what goes through it. Halves take half the disk."""
    with torch.no_grad():
        for weight in network.parameters():
            if weight.dim() > 1 and not weight.any():
                weight.normal_(std=SPREAD)
    return {name: value.half() if value.is_floating_point() else value for name, value in network.state_dict().items()}


def _speech(root: Path) -> None:
    place = str(root / "wav2vec2-base-960h")
    small = Wav2Vec2Config(
        hidden_size=WIDTH,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=2 * WIDTH,
        conv_dim=(WIDTH,) * 7,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=2,
    )
    Wav2Vec2Model(small).save_pretrained(place)
    Wav2Vec2FeatureExtractor().save_pretrained(place)
    wanted = OmegaConf.load("configs/inference/inference_audio.yaml")
    for name, build, kind in (("mesh", Audio2MeshModel, "a2m_model"), ("pose", Audio2PoseModel, "a2p_model")):
        settings = OmegaConf.merge(wanted[kind], {"model_path": place})
        torch.save(_state(build(settings)), str(root / f"audio2{name}.pt"))


def _stable_diffusion(root: Path) -> None:
    unet = UNet2DConditionModel(
        sample_size=64, layers_per_block=1, cross_attention_dim=WIDTH, attention_head_dim=8
    ).half()  # all else is as in Stable Diffusion 1.5
    unet.save_pretrained(str(root / "stable-diffusion-v1-5" / "unet"), safe_serialization=False)
    torch.save(_state(unet), str(root / "reference_unet.pth"))
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(16, 16, 32, 32),
        norm_num_groups=8,
        latent_channels=4,
    )
    vae.save_pretrained(str(root / "sd-vae-ft-mse"), safe_serialization=False)
    clip = CLIPVisionConfig(
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        projection_dim=WIDTH,
        num_hidden_layers=1,
        num_attention_heads=2,
    )
    CLIPVisionModelWithProjection(clip).save_pretrained(str(root / "image_encoder"))


def _denoiser(root: Path) -> None:
    """Built as upstream builds it, without the motion module's file, which is written here."""
    settings = OmegaConf.load("configs/inference/inference_v2.yaml").unet_additional_kwargs
    settings.motion_module_kwargs.temporal_attention_dim_div = DIVISION
    unet = UNet3DConditionModel.from_pretrained_2d(
        root / "stable-diffusion-v1-5", root / "none", subfolder="unet", unet_additional_kwargs=settings
    )
    state = _state(unet)
    torch.save(state, str(root / "denoising_unet.pth"))
    motion = {name: value for name, value in state.items() if "motion_modules" in name}
    torch.save(motion, str(root / "motion_module.pth"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
