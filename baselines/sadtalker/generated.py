"""Generated weights for SadTalker: upstream's own networks at full size, with random parameters.

`generated.py FOLDER`, in upstream's checkout, writes the files that `inference.py` loads with `--preprocess resize`:
one safetensors file of five networks by prefix, the mapping network, facexlib's face detector, and the landmark
network. The detector is made to find nothing, where a random one finds boxes anywhere, and to say so (shim
`no_face_is_none`).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import save_file

SEED = 1
CONFIGURATION = Path("src/config")


def main(folder: Path) -> None:
    """Build the networks as upstream's configuration has them and save them below `folder`."""
    torch.manual_seed(SEED)
    for name in ("checkpoints", "gfpgan/weights"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    renderer = yaml.safe_load((CONFIGURATION / "facerender.yaml").read_text(encoding="utf-8"))["model_params"]
    _five(folder / "checkpoints/SadTalker_V0.0.2_256.safetensors", renderer)
    _mapping(folder / "checkpoints/mapping_00229-model.pth.tar", renderer)
    _faces(folder / "gfpgan/weights")


def _five(path: Path, renderer: dict[str, Any]) -> None:
    """What `src/utils/model2safetensor.py` puts into one file."""
    from src.audio2exp_models.networks import SimpleWrapperV2
    from src.audio2pose_models.audio2pose import Audio2Pose
    from src.face3d.models import networks
    from src.facerender.modules.generator import OcclusionAwareSPADEGenerator
    from src.facerender.modules.keypoint_detector import KPDetector
    from yacs.config import CfgNode

    common = renderer["common_params"]
    with (CONFIGURATION / "auido2pose.yaml").open(encoding="utf-8") as stream:
        pose = CfgNode.load_cfg(stream)
    parts = {
        "kp_extractor": KPDetector(**renderer["kp_detector_params"], **common),
        "generator": OcclusionAwareSPADEGenerator(**renderer["generator_params"], **common),
        "audio2exp": SimpleWrapperV2(),
        "audio2pose": Audio2Pose(pose, None, device="cpu"),
        "face_3drecon": networks.define_net_recon(net_recon="resnet50", use_last_fc=False, init_path=""),
    }
    state = {
        f"{name}.{key}": value.detach().clone().contiguous()
        for name, part in parts.items()
        for key, value in part.state_dict().items()
    }
    save_file(state, str(path))


def _mapping(path: Path, renderer: dict[str, Any]) -> None:
    from src.facerender.modules.mapping import MappingNet

    mapping = MappingNet(**renderer["mapping_params"])
    torch.save({"mapping": mapping.state_dict(), "epoch": 0}, str(path))


def _faces(folder: Path) -> None:
    from facexlib.detection.retinaface import RetinaFace
    from src.face3d.util.my_awing_arch import FAN

    detector = RetinaFace(network_name="resnet50", device="cpu")
    for parameter in detector.ClassHead.parameters():
        parameter.data.zero_()  # every place is a face with probability 0.5, and 0.97 is asked for
    torch.save(detector.state_dict(), str(folder / "detection_Resnet50_Final.pth"))
    fan = FAN(num_modules=4, num_landmarks=98, device="cpu")
    torch.save({"state_dict": fan.state_dict()}, str(folder / "alignment_WFLW_4HG.pth"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
