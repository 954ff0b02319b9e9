"""Generated weights of AVCT: upstream's own four networks at full size, seeded, in the two files that it loads.

`checkpoint/generator.ckpt` holds `ph2kp`, `generator` and `kp_detector`, `checkpoint/audio2pose.ckpt` a `generator`
of its own; all four are loaded strictly.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import torch
import yaml
from models.audio2pose import audio2poseLSTM
from models.generator import OcclusionAwareGenerator
from models.keypoint_detector import KPDetector
from models.transformer import Audio2kpTransformer

SEED = 20


def main(folder: Path) -> None:
    """Write both files below `folder`; run in upstream's checkout, whose settings it reads."""
    torch.manual_seed(SEED)
    model = yaml.safe_load(Path("config_file/vox-256.yaml").read_text(encoding="utf-8"))["model_params"]
    speech = yaml.safe_load(Path("config_file/audio2kp.yaml").read_text(encoding="utf-8"))
    common = model["common_params"]
    networks = {
        "ph2kp": Audio2kpTransformer(argparse.Namespace(**speech)),
        "generator": OcclusionAwareGenerator(**model["generator_params"], **common),
        "kp_detector": KPDetector(**model["kp_detector_params"], **common),
    }
    _save({name: _liven(network).state_dict() for name, network in networks.items()}, folder / "generator.ckpt")
    _save({"generator": _liven(audio2poseLSTM()).state_dict()}, folder / "audio2pose.ckpt")


def _liven(network: torch.nn.Module) -> torch.nn.Module:
    """Weights under which a signal keeps its strength: with PyTorch's own every picture is flat grey.

    The maps of local transforms start as the identity, which is upstream's own way, and stay so.
    """
    for name, layer in network.named_modules():
        if isinstance(layer, torch.nn.Conv2d) and "jacobian" not in name and hasattr(layer, "weight"):
            torch.nn.init.kaiming_normal_(layer.weight)
    return network


def _save(state: Any, path: Path) -> None:
    target = path.parent / "checkpoint" / path.name
    target.parent.mkdir(parents=True, exist_ok=True)
    torch.save(state, str(target))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
