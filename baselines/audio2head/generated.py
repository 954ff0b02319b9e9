"""Generated weights of Audio2Head: upstream's own four networks, seeded, in the one file that its script loads."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
import yaml
from modules.audio2kp import AudioModel3D
from modules.audio2pose import audio2poseLSTM
from modules.generator import OcclusionAwareGenerator
from modules.keypoint_detector import KPDetector

SEED = 20
CONVOLUTIONS = (torch.nn.Conv2d, torch.nn.Conv3d)


def liven(network: torch.nn.Module) -> torch.nn.Module:
    """Weights under which a signal keeps its strength: with PyTorch's own every picture is flat grey.

    The maps of local transforms start as the identity, which is upstream's own way, and stay so.
    """
    for name, layer in network.named_modules():
        if isinstance(layer, CONVOLUTIONS) and "jacobian" not in name:
            torch.nn.init.kaiming_normal_(layer.weight)
    return network


def main(folder: Path) -> None:
    """Write `checkpoints/audio2head.pth.tar` below `folder`; run in upstream's checkout, whose settings it reads."""
    torch.manual_seed(SEED)
    model = yaml.safe_load(Path("config/vox-256.yaml").read_text(encoding="utf-8"))["model_params"]
    speech = yaml.safe_load(Path("config/parameters.yaml").read_text(encoding="utf-8"))
    common = model["common_params"]
    networks = {
        "kp_detector": KPDetector(**model["kp_detector_params"], **common),
        "generator": OcclusionAwareGenerator(**model["generator_params"], **common),
        "audio2kp": AudioModel3D(argparse.Namespace(**speech)),
        "audio2pose": audio2poseLSTM(),
    }
    target = folder / "checkpoints" / "audio2head.pth.tar"
    target.parent.mkdir(parents=True, exist_ok=True)
    torch.save({name: liven(network).state_dict() for name, network in networks.items()}, target)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
