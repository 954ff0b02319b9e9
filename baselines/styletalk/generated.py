"""Generated weights for StyleTalk: upstream's own networks at full size, seeded, in the two files that it loads.

`checkpoints/styletalk_checkpoint.pth` holds `model_state_dict` with the keys of `StyleTalk` (`content_encoder.*`,
`style_encoder.*`, `decoder.*`, each loaded strictly), `checkpoints/renderer_checkpoint.pt` PIRenderer's `net_G_ema`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
import yaml
from configs.default import get_cfg_defaults
from core.networks.styletalk import StyleTalk
from generators.face_model import FaceGenerator

SEED = 20
FIRST_IN_PX = 71  # of PIRenderer's 73 numbers a frame: the last two say where the face is, the others are small


def main(folder: Path) -> None:
    """Write both files below `folder`; run in upstream's checkout, whose settings it reads."""
    torch.manual_seed(SEED)
    sizes = yaml.safe_load(Path("configs/renderer_conf.yaml").read_text(encoding="utf-8"))
    _save({"model_state_dict": StyleTalk(get_cfg_defaults()).state_dict()}, folder / "styletalk_checkpoint.pth")
    renderer = FaceGenerator(**sizes)
    _balance(renderer.mapping_net.first[0].weight.data)
    _save({"net_G_ema": renderer.state_dict()}, folder / "renderer_checkpoint.pt")


def _balance(weight: torch.Tensor) -> None:
    """Let expression and pose count beside the place in px: with PyTorch's own weights the picture stands still."""
    weight[:, :FIRST_IN_PX] *= 10
    weight[:, FIRST_IN_PX:] *= 0.01


def _save(state: Any, path: Path) -> None:
    target = path.parent / "checkpoints" / path.name
    target.parent.mkdir(parents=True, exist_ok=True)
    torch.save(state, str(target))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
