"""Generated weights for DreamTalk: upstream's denoiser and renderer at full size, and a one-layer wav2vec 2.0.

`generated.py FOLDER`, in upstream's checkout, writes what upstream loads: `checkpoints/denoising_network.pth` (keys
`diff_net.*` below `model_state_dict`, loaded strictly), `checkpoints/renderer.pt` (`net_G_ema`), and the folder of
`jonatasgrosman/wav2vec2-large-xlsr-53-english`: its strides (50 features a second) and its width of 1024, but few
channels and one layer in place of 24.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
import yaml

SEED = 1
WAV2VEC = "jonatasgrosman/wav2vec2-large-xlsr-53-english"
SYMBOLS = ["<pad>", "<s>", "</s>", "<unk>", "|", *"'abcdefghijklmnopqrstuvwxyz"]


def main(folder: Path) -> None:
    """Build the networks with random parameters and save them below `folder`."""
    torch.manual_seed(SEED)
    (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
    _denoiser(folder)
    _renderer(folder)
    _wav2vec(folder / WAV2VEC)


def _denoiser(folder: Path) -> None:
    from configs.default import get_cfg_defaults
    from core.networks.diffusion_net import DiffusionNet
    from core.networks.diffusion_util import NoisePredictor, VarianceSchedule

    cfg = get_cfg_defaults()
    schedule = cfg.DIFFUSION.SCHEDULE
    variance = VarianceSchedule(
        num_steps=schedule.NUM_STEPS, beta_1=schedule.BETA_1, beta_T=schedule.BETA_T, mode=schedule.MODE
    )
    network = DiffusionNet(cfg=cfg, net=NoisePredictor(cfg), var_sched=variance)
    state = {f"diff_net.{key}": value for key, value in network.state_dict().items()}
    _save({"model_state_dict": state}, folder / cfg.INFERENCE.CHECKPOINT)


def _renderer(folder: Path) -> None:
    from generators.face_model import FaceGenerator

    sizes = yaml.safe_load(Path("generators/renderer_conf.yaml").read_text(encoding="utf-8"))
    _save({"net_G_ema": FaceGenerator(**sizes).state_dict()}, folder / "checkpoints/renderer.pt")


def _wav2vec(folder: Path) -> None:
    from transformers import Wav2Vec2Config, Wav2Vec2CTCTokenizer, Wav2Vec2FeatureExtractor, Wav2Vec2Processor
    from transformers.models.wav2vec2.modeling_wav2vec2 import Wav2Vec2Model

    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = folder / "vocab.json"
    vocabulary.write_text(json.dumps({symbol: index for index, symbol in enumerate(SYMBOLS)}), encoding="utf-8")
    tokens = Wav2Vec2CTCTokenizer(str(vocabulary))
    sound = Wav2Vec2FeatureExtractor(sampling_rate=16000, do_normalize=True, return_attention_mask=True)
    Wav2Vec2Processor(feature_extractor=sound, tokenizer=tokens).save_pretrained(folder)
    (folder / "tokenizer_config.json").unlink()  # the published folder has none
    config = Wav2Vec2Config(
        vocab_size=len(SYMBOLS),
        hidden_size=1024,  # what the denoiser reads
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=16,
        conv_dim=(32,) * 7,
        num_conv_pos_embeddings=16,
        feat_extract_norm="layer",
        do_stable_layer_norm=True,
    )
    Wav2Vec2Model(config).save_pretrained(folder, safe_serialization=False)


def _save(state: Any, path: Path) -> None:
    torch.save(state, str(path))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
