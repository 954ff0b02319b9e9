"""Generated weights of MakeItTalk: upstream's own four networks, seeded, each in the file and key that it expects.

The face detector and landmark networks of the package `face_alignment` are left out: such a run has a stub for them.
"""

from __future__ import annotations

import sys
from pathlib import Path
from pickle import dumps

import numpy as np
import torch
from src.autovc.retrain_version.model_vc_37_1 import Generator
from src.models.model_audio2landmark import Audio2landmark_content, Audio2landmark_pos
from src.models.model_image_translation import ResUnetGenerator

SEED = 20
SPEAKER_SIZE = 256  # of a Resemblyzer embedding


def main(folder: Path) -> None:
    """Write `examples/ckpt/*.pth` and `examples/dump/emb.pickle` below `folder`; shapes are upstream's own."""
    torch.manual_seed(SEED)
    networks = {
        "ckpt_autovc.pth": ("model", Generator(16, 256, 512, 16)),
        "ckpt_speaker_branch.pth": (
            "G",
            Audio2landmark_pos(
                drop_out=0.5,
                spk_emb_enc_size=128,
                c_enc_hidden_size=256,
                transformer_d_model=32,
                N=2,
                heads=2,
                z_size=128,
                audio_dim=256,
            ),
        ),
        "ckpt_content_branch.pth": (
            "model_g_face_id",
            Audio2landmark_content(
                num_window_frames=18, in_size=80, use_prior_net=True, bidirectional=False, drop_out=0.5
            ),
        ),
        "ckpt_116_i2i_comb.pth": ("G", ResUnetGenerator(input_nc=6, output_nc=3, num_downs=6, use_dropout=False)),
    }
    weights = folder / "examples" / "ckpt"
    weights.mkdir(parents=True, exist_ok=True)
    for name, (key, network) in networks.items():
        torch.save({key: network.state_dict()}, weights / name)
    speakers = folder / "examples" / "dump" / "emb.pickle"
    speakers.parent.mkdir(parents=True, exist_ok=True)
    embedding = np.random.RandomState(SEED).rand(SPEAKER_SIZE).astype(np.float32)
    speakers.write_bytes(dumps({"generated": embedding / np.linalg.norm(embedding)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
