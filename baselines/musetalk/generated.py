"""Generated weights for MuseTalk: the networks that upstream builds, random, in the files and folders it loads.

`generated.py FOLDER`, in upstream's checkout. UNet and VAE are narrow (their widths come with the weights); Whisper's
encoder, the pose network (genuine mmpose), the face detector and the face parser have their real sizes. Detector and
parser are set, because random ones would find no face and paint none: one box in the middle, and face everywhere.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import torch

SEED = 1
SPREAD = 0.02  # standard deviation of weights that would start at zero
STRIDE_PX, ANCHOR_PX, BOX_PX = 128, 512, 144  # of the coarsest detection layer; side of the box it is made to give
VARIANCES = (0.1, 0.2)  # by which upstream decodes centres and sizes
POSE_CONFIG = "musetalk/utils/dwpose/rtmpose-l_8xb32-270e_coco-ubody-wholebody-384x288.py"
LEVELS = (32, 64, 64, 64)
UNET = {
    "sample_size": 64, "in_channels": 8, "out_channels": 4, "block_out_channels": LEVELS, "layers_per_block": 1,
    "cross_attention_dim": 384, "attention_head_dim": 8, "norm_num_groups": 32,
}  # fmt: skip
WHISPER = {
    "vocab_size": 64, "d_model": 384, "encoder_layers": 4, "encoder_attention_heads": 6, "encoder_ffn_dim": 1536,
    "decoder_layers": 1, "decoder_attention_heads": 6, "decoder_ffn_dim": 64, "pad_token_id": 0, "bos_token_id": 0,
    "eos_token_id": 0, "decoder_start_token_id": 1, "suppress_tokens": None, "begin_suppress_tokens": None,
}  # fmt: skip


def main(folder: Path) -> None:
    """Save a state of each network below `folder`."""
    torch.manual_seed(SEED)
    models = folder / "models"
    _denoiser(models / "musetalkV15")
    _pictures(models / "sd-vae")
    _speech(models / "whisper")
    _landmarks(models / "dwpose" / "dw-ll_ucoco_384.pth")
    _detector(folder / "torch_home" / "hub" / "checkpoints" / "s3fd-619a316812.pth")
    _parser(models / "face-parse-bisent")


def _denoiser(folder: Path) -> None:
    from diffusers import UNet2DConditionModel

    network = UNet2DConditionModel(**UNET)
    _save(_state(network), folder / "unet.pth")
    (folder / "musetalk.json").write_text(json.dumps(UNET), encoding="utf-8")


def _pictures(folder: Path) -> None:
    from diffusers import AutoencoderKL

    network = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(16, 16, 32, 32),
        norm_num_groups=8,
        latent_channels=4,
    )
    network.save_pretrained(str(folder), safe_serialization=False)


def _speech(folder: Path) -> None:
    from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperModel

    WhisperModel(WhisperConfig(**WHISPER)).save_pretrained(str(folder), safe_serialization=False)
    WhisperFeatureExtractor(feature_size=80).save_pretrained(str(folder))


def _landmarks(path: Path) -> None:
    from mmpose.apis import init_model

    _save({"state_dict": init_model(POSE_CONFIG, None, device="cpu").state_dict()}, path)


def _detector(path: Path) -> None:
    import musetalk.utils  # noqa: F401  puts the next one on the path
    from face_detection.detection.sfd.net_s3fd import s3fd

    network = s3fd()
    # A 256 px frame has 3 x 3 cells; the last one, which upstream takes of equals, is moved to the frame's middle.
    shift = -1.5 * STRIDE_PX / ANCHOR_PX / VARIANCES[0]
    size = math.log(BOX_PX / ANCHOR_PX) / VARIANCES[1]
    with torch.no_grad():
        for name, layer in network.named_modules():
            if name.endswith("_mbox_conf"):
                layer.weight.zero_()
                layer.bias.fill_(0.0)
                face = layer.bias.shape[0] - 1  # the other values stand for background
                layer.bias[face] = 8.0 if name.startswith("conv7_2") else -8.0
            if name == "conv7_2_mbox_loc":
                layer.weight.zero_()
                layer.bias.copy_(torch.tensor([shift, shift, size, size]))
    _save(network.state_dict(), path)


def _parser(folder: Path) -> None:
    from musetalk.utils.face_parsing.model import BiSeNet
    from musetalk.utils.face_parsing.resnet import Resnet18

    start = folder / "resnet18-5c106cde.pth"
    _save({}, start)  # upstream's constructor reads this file; its own start values stay
    _save(Resnet18(str(start)).state_dict(), start)
    network = BiSeNet(str(start))
    with torch.no_grad():
        last = network.conv_out.conv_out.weight  # (classes, 256, 1, 1), over features that are never negative
        last.copy_(-last.abs())
        last[1].abs_()  # skin
    _save(network.state_dict(), folder / "79999_iter.pth")


def _state(network: torch.nn.Module) -> dict:
    """Its weights, none of them all zero: such a layer would hide what goes through it."""
    with torch.no_grad():
        for weight in network.parameters():
            if weight.dim() > 1 and not weight.any():
                weight.normal_(std=SPREAD)
    return network.state_dict()


def _save(state: object, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(state, str(path))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
