"""Generated weights for JoyVASA: upstream's own networks, random and narrow, in the files that it loads.

`generated.py FOLDER`, in upstream's checkout, writes `FOLDER/pretrained_weights/...`. The sizes are those of upstream's
configuration, some of them reduced (`small.py`); the audio encoder's are read by upstream from the `config.json` beside
it. The three ONNX files (face detector, landmarks) answer every picture alike: one face in the middle.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from pickle import dumps
from typing import Any, Sequence

import numpy as np
import torch

SEED = 1
# As upstream's train.py has them by default, with the encoder of its published Chinese model.
GENERATOR = {"motion_feat_dim": 70, "n_motions": 100, "n_prev_motions": 25, "feature_dim": 256, "n_diff_steps": 50,
             "audio_model": "hubert_zh", "fps": 25, "pad_mode": "zero", "use_indicator": True}  # fmt: skip
STRIDES = (8, 16, 32)  # px, of the detector's three levels at 512x512; two anchors a place
EYES_AND_LIPS = {(33, 35, 40, 39): (-0.3, -0.3), (87, 89, 94, 93): (0.3, -0.3), (52,): (-0.2, 0.35), (61,): (0.2, 0.35)}


def main(folder: Path) -> None:
    """Build the networks and save each one's state below `folder`."""
    torch.manual_seed(SEED)
    weights = folder / "pretrained_weights"
    _portrait(weights / "liveportrait")
    encoder = _audio_encoder()
    _save_motion(weights / "JoyVASA", encoder, weights / "TencentGameMate:chinese-hubert-base")
    faces = weights / "insightface" / "models" / "buffalo_l"
    _save_answers(faces / "det_10g.onnx", "input.1", (1, 3, 512, 512), _one_face())
    _save_answers(faces / "2d106det.onnx", "data", (1, 3, 192, 192), [_points()])
    lines = [
        np.full((1, size), 0.5, np.float32) for size in (214, 262, 406)
    ]  # the third: 203 points, parts of the side
    _save_answers(weights / "liveportrait" / "landmark.onnx", "input", (1, 3, 224, 224), lines)


def _portrait(folder: Path) -> None:
    import yaml
    from small import CONFIG, small
    from src.modules.appearance_feature_extractor import AppearanceFeatureExtractor
    from src.modules.motion_extractor import MotionExtractor
    from src.modules.spade_generator import SPADEDecoder
    from src.modules.stitching_retargeting_network import StitchingRetargetingNetwork
    from src.modules.warping_network import WarpingNetwork

    sizes = small(yaml.safe_load(Path(CONFIG).read_text(encoding="utf-8")))["model_params"]
    networks = {
        "appearance_feature_extractor": AppearanceFeatureExtractor,
        "motion_extractor": MotionExtractor,
        "spade_generator": SPADEDecoder,
        "warping_module": WarpingNetwork,
    }
    for name, network in networks.items():
        _save(network(**sizes[name + "_params"]).state_dict(), folder / "base_models" / (name + ".pth"))
    parts = sizes["stitching_retargeting_module_params"]
    stored = {"retarget_shoulder": "stitching", "retarget_mouth": "lip", "retarget_eye": "eye"}
    state = {key: StitchingRetargetingNetwork(**parts[part]).state_dict() for key, part in stored.items()}
    _save(state, folder / "retargeting_models" / "stitching_retargeting_module.pth")


def _audio_encoder() -> Any:
    from src.modules.hubert import HubertModel
    from transformers import HubertConfig

    return HubertModel(HubertConfig(num_hidden_layers=2, intermediate_size=64, conv_dim=(32,) * 7))


def _save_motion(folder: Path, encoder: Any, encoder_folder: Path) -> None:
    """The motion generator, which is made with an audio encoder of its own, and the range of motions that it means."""
    from src.modules import hubert
    from src.modules.dit_talking_head import DitTalkingHead

    encoder.save_pretrained(str(encoder_folder), safe_serialization=False)
    hubert.HubertModel.from_pretrained = lambda path: encoder  # upstream looks below its checkout, which stays as it is
    sizes = {key: GENERATOR[key] for key in GENERATOR if key not in ("fps", "pad_mode", "use_indicator")}
    network = DitTalkingHead(device="cpu", **sizes)
    checkpoint = {"args": argparse.Namespace(**GENERATOR), "model": network.state_dict()}
    _save(checkpoint, folder / "motion_generator" / "motion_generator_hubert_chinese.pt")
    ranges: dict[str, Any] = {"mean_exp": np.zeros(63, np.float32), "std_exp": np.full(63, 0.01, np.float32)}
    for name, low, high in (
        ("scale", 1.2, 1.4),
        ("t", -0.05, 0.05),
        ("pitch", -10, 10),
        ("yaw", -10, 10),
        ("roll", -5, 5),
    ):
        ranges["min_" + name], ranges["max_" + name] = np.float32(low), np.float32(high)
    template = folder / "motion_template" / "motion_template.pkl"
    template.parent.mkdir(parents=True, exist_ok=True)
    template.write_bytes(dumps(ranges))


def _one_face() -> Sequence[np.ndarray]:
    """Scores, boxes (left, up, right, down) and points, both in strides from the anchor, of all anchors by level."""
    counts = [2 * (512 // stride) ** 2 for stride in STRIDES]
    scores = [np.zeros((count, 1), np.float32) for count in counts]
    scores[-1][2 * (8 * 16 + 8)] = 0.9  # the middle of the 16x16 places at stride 32
    boxes = [np.full((count, 4), 5, np.float32) for count in counts]
    points = [np.zeros((count, 10), np.float32) for count in counts]
    return [*scores, *boxes, *points]


def _points() -> np.ndarray:
    """106 landmarks (1, 212), -1 to 1 over the crop: a ring, and eyes and lips where upstream looks for them."""
    angles = np.linspace(0, 2 * np.pi, 106, endpoint=False)
    points = 0.5 * np.stack([np.cos(angles), np.sin(angles)], 1)
    for indices, place in EYES_AND_LIPS.items():
        points[list(indices)] = place
    return points.reshape(1, 212).astype(np.float32)


def _save_answers(path: Path, name: str, shape: Sequence[int], answers: Sequence[np.ndarray]) -> None:
    """An ONNX model that takes a picture and gives these arrays."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    names = [f"answer{index}" for index in range(len(answers))]
    nodes = [
        helper.make_node("Constant", [], [one], value=numpy_helper.from_array(answer, one))
        for one, answer in zip(names, answers)
    ]
    outputs = [
        helper.make_tensor_value_info(one, TensorProto.FLOAT, answer.shape) for one, answer in zip(names, answers)
    ]
    graph = helper.make_graph(
        nodes, "answers", [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)], outputs
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))


def _save(state: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(state, str(path))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
