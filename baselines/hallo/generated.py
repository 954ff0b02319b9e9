"""Generated weights for Hallo: upstream's own networks, random and narrow, in the files and folders that it loads.

`generated.py FOLDER`, in upstream's checkout, writes `FOLDER/pretrained_models/...`. The widths of the UNet and of the
VAE, and wav2vec's inner sizes, are read by upstream from the `config.json` beside the weights, so they can be small;
the first level of the UNet stays at 320 channels and wav2vec at 12 layers of 768, because upstream's script fixes them.
The files that a run with generated weights does without (faces, landmarks, vocals) are not written.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch

SEED = 1
UNET = {
    "sample_size": 64,
    "in_channels": 4,
    "block_out_channels": (320, 64, 64, 64),
    "layers_per_block": 1,
    "cross_attention_dim": 768,
    "attention_head_dim": 8,
}
VAE = {
    "block_out_channels": (32, 32, 32, 32),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "latent_channels": 4,
    "layers_per_block": 1,
    "norm_num_groups": 16,
}


def main(folder: Path) -> None:
    """Build the networks and save each one's state below `folder`."""
    from omegaconf import OmegaConf

    torch.manual_seed(SEED)
    models = folder / "pretrained_models"
    options = OmegaConf.to_container(OmegaConf.load("configs/inference/default.yaml").unet_additional_kwargs)
    _audio_encoder(models / "wav2vec" / "wav2vec2-base-960h")
    _diffusion(models, options)


def _audio_encoder(folder: Path) -> None:
    from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2Model

    config = Wav2Vec2Config(
        conv_dim=(32,) * 7, intermediate_size=64, num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=16
    )
    Wav2Vec2Model(config).save_pretrained(str(folder))
    Wav2Vec2FeatureExtractor(return_attention_mask=False).save_pretrained(str(folder))


def _diffusion(models: Path, options: Any) -> None:
    from diffusers import AutoencoderKL
    from hallo.models.audio_proj import AudioProjModel
    from hallo.models.face_locator import FaceLocator
    from hallo.models.image_proj import ImageProjModel
    from hallo.models.unet_2d_condition import UNet2DConditionModel
    from hallo.models.unet_3d import UNet3DConditionModel
    from scripts.inference import Net

    AutoencoderKL(**VAE).save_pretrained(str(models / "sd-vae-ft-mse"))
    base = models / "stable-diffusion-v1-5"
    reference = UNet2DConditionModel(**UNET)
    reference.save_pretrained(str(base / "unet"))
    _name_as_published(base / "unet" / "config.json")
    motion = models / "motion_module" / "mm_sd_v15_v2.ckpt"
    motion.parent.mkdir(parents=True, exist_ok=True)
    motion.unlink(missing_ok=True)
    denoising = UNet3DConditionModel.from_pretrained_2d(
        base, motion, subfolder="unet", unet_additional_kwargs=options, use_landmark=False
    )
    _give_noise(denoising)
    state = denoising.state_dict()
    torch.save({name: value for name, value in state.items() if "motion_modules" in name}, str(motion))
    width = UNET["cross_attention_dim"]
    net = Net(
        reference,
        denoising,
        FaceLocator(conditioning_embedding_channels=320),
        ImageProjModel(cross_attention_dim=width, clip_embeddings_dim=512, clip_extra_context_tokens=4),
        AudioProjModel(seq_len=5, blocks=12, channels=768, intermediate_dim=512, output_dim=768, context_tokens=32),
    )
    path = models / "hallo" / "net.pth"
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(net.state_dict(), str(path))


def _name_as_published(path: Path) -> None:
    """Stable Diffusion's published configuration has a key that upstream's class reads and does not write."""
    config = json.loads(path.read_text(encoding="utf-8"))
    config["center_input_sample"] = config.pop("_center_input_sample")
    config["out_channels"] = config.pop("_out_channels")
    path.write_text(json.dumps(config, indent=2), encoding="utf-8")


def _give_noise(network: torch.nn.Module) -> None:
    """Layers that start at zero would hide what comes after them: speech and motion would change nothing."""
    with torch.no_grad():
        for parameter in network.parameters():
            if not parameter.abs().any():
                parameter.normal_(std=0.02)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
