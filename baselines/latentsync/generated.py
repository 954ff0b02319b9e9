"""Generated weights for LatentSync: upstream's own networks, random and narrow, in the files and folders it loads.

`generated.py FOLDER`, in upstream's checkout. The UNet's levels are read from the configuration that `drive.py` writes,
the VAE's from its `config.json`; Whisper's encoder has its real size, its decoder, which nothing calls, one layer. Face
detection has a stand-in: a random detector finds no face.
"""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

import torch

SEED = 1
SPREAD = 0.02  # standard deviation of weights that upstream would start at zero
CONFIG = "configs/unet/stage2_512.yaml"
SMALL = {"block_out_channels": [32, 64, 64, 64], "layers_per_block": 1}  # as in drive.py
DIMENSIONS = {"n_mels": 80, "n_audio_ctx": 1500, "n_audio_state": 384, "n_audio_head": 6, "n_audio_layer": 4,
              "n_vocab": 64, "n_text_ctx": 448, "n_text_state": 384, "n_text_head": 6, "n_text_layer": 1}  # fmt: skip


def main(folder: Path) -> None:
    """Save a state of each network below `folder`."""
    torch.manual_seed(SEED)
    checkpoints = folder / "checkpoints"
    (checkpoints / "whisper").mkdir(parents=True, exist_ok=True)
    _denoiser(checkpoints / "latentsync_unet.pt")
    _speech(checkpoints / "whisper" / "tiny.pt")
    _pictures(folder / "stabilityai" / "sd-vae-ft-mse")


def _denoiser(path: Path) -> None:
    from latentsync.models.unet import UNet3DConditionModel
    from omegaconf import OmegaConf

    model = OmegaConf.to_container(OmegaConf.load(CONFIG).model)
    model.update(SMALL)
    network, _ = UNet3DConditionModel.from_pretrained(model, "")
    torch.save({"global_step": 0, "state_dict": _state(network)}, str(path))


def _speech(path: Path) -> None:
    from latentsync.whisper.whisper.model import ModelDimensions, Whisper

    dimensions = ModelDimensions(**DIMENSIONS)
    network = Whisper(dimensions)
    with torch.no_grad():  # upstream leaves it as it lay in memory
        network.decoder.positional_embedding.normal_(std=SPREAD)
    torch.save({"dims": asdict(dimensions), "model_state_dict": _state(network)}, str(path))


def _pictures(folder: Path) -> None:
    from diffusers import AutoencoderKL

    network = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(16, 16, 32, 32),
        norm_num_groups=8,
        latent_channels=4,
    )
    network.save_pretrained(str(folder))


def _state(network: torch.nn.Module) -> dict:
    """Its weights, none of them all zero: such a layer would hide what goes through it."""
    with torch.no_grad():
        for weight in network.parameters():
            if weight.dim() > 1 and not weight.any():
                weight.normal_(std=SPREAD)
    return network.state_dict()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
