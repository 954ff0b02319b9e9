"""Generated weights for Ditto: upstream's own networks at full size (its code fixes them), random, as it loads them.

`generated.py FOLDER`, in upstream's checkout, writes `FOLDER/checkpoints/...`: the six networks, the configuration
(a pickled dictionary of plain values) with the keys that upstream reads, and the ONNX files of others, small ones: face
detector and landmarks answer every picture alike, one face in the middle; speech goes through one convolution.
"""

from __future__ import annotations

import sys
from pathlib import Path
from pickle import dumps
from typing import Any, Sequence

import numpy as np
import torch

SEED = 1
SPEECH_FEATURES, STEPS = 1024, 10
CONDITIONS = 8 + 2 + 6 + 63  # emotion, how open the eyes are, where they look, keypoints of the portrait
NETWORKS = ("appearance_extractor", "motion_extractor", "stitch_network", "warp_network", "decoder")
STRIDES = (8, 16, 32)  # px, of the detector's three levels at 512x512; two anchors a place
POINTS_106 = {(33, 35, 40, 39): (-0.3, -0.3), (87, 89, 94, 93): (0.3, -0.3), (52,): (-0.2, 0.35), (61,): (0.2, 0.35)}
POINTS_203 = {(0, 6, 12, 18): (0.35, 0.55), (24, 30, 36, 42): (0.65, 0.55), (48,): (0.4, 0.85), (66,): (0.6, 0.85)}


def main(folder: Path) -> None:
    """Build the networks and save each one's state below `folder`."""
    torch.manual_seed(SEED)
    checkpoints = folder / "checkpoints"
    _networks(checkpoints / "ditto_pytorch" / "models")
    faces = checkpoints / "ditto_pytorch" / "aux_models"
    faces.mkdir(parents=True, exist_ok=True)
    _save_answers(faces / "det_10g.onnx", "input.1", (1, 3, 512, 512), _one_face())
    _save_answers(faces / "2d106det.onnx", "data", (1, 3, 192, 192), [_ring(106, (0, 0), 0.5, POINTS_106)])
    points = _ring(203, (0.5, 0.7), 0.3, POINTS_203)
    others = [np.zeros((1, size), np.float32) for size in (214, 262)]
    _save_answers(faces / "landmark203.onnx", "input", (1, 3, 224, 224), [*others, points])
    _save_speech(faces / "hubert_streaming_fix_kv.onnx")
    config = checkpoints / "ditto_cfg" / "v0.4_hubert_cfg_pytorch.pkl"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_bytes(dumps(_configuration()))


def _networks(folder: Path) -> None:
    from core.models import modules

    folder.mkdir(parents=True, exist_ok=True)
    made = {
        "appearance_extractor": modules.AppearanceFeatureExtractor(),
        "motion_extractor": modules.MotionExtractor(),
        "warp_network": modules.WarpingNetwork(),
        "decoder": modules.SPADEDecoder(),
    }
    for name, network in made.items():
        torch.save(network.state_dict(), str(folder / (name + ".pth")))
    torch.save({"retarget_shoulder": modules.StitchingNetwork().state_dict()}, str(folder / "stitch_network.pth"))
    motion = modules.LMDM(audio_feat_dim=SPEECH_FEATURES + CONDITIONS)
    torch.save({"model_state_dict": motion.model.state_dict()}, str(folder / "lmdm_v0.4_hubert.pth"))


def _configuration() -> dict[str, Any]:
    base: dict[str, Any] = {
        name + "_cfg": {"model_path": "models/" + name + ".pth", "device": "cuda"} for name in NETWORKS
    }
    others = {
        "insightface_det_cfg": "det_10g",
        "landmark106_cfg": "2d106det",
        "landmark203_cfg": "landmark203",
        "hubert_cfg": "hubert_streaming_fix_kv",
    }
    for key, name in others.items():
        base[key] = {"model_path": "aux_models/" + name + ".onnx", "device": "cuda", "force_ori_type": True}
    base["landmark478_cfg"] = {"task_path": "aux_models/face_landmarker.task", "device": "cuda", "force_ori_type": True}
    motion = {
        "model_path": "models/lmdm_v0.4_hubert.pth",
        "device": "cuda",
        "motion_feat_dim": 265,
        "audio_feat_dim": SPEECH_FEATURES + CONDITIONS,
        "seq_frames": 80,
        "w2f_type": "hubert",
        **{"use_" + key: True for key in ("emo", "sc", "eye_open", "eye_ball")},
    }
    blink = np.zeros((15, 63), np.float32)  # frames of a blink, added to the portrait's expression
    defaults = {"sampling_timesteps": STEPS, "delta_eye_arr": blink}
    return {"base_cfg": base, "audio2motion_cfg": motion, "default_kwargs": defaults}


def _one_face() -> Sequence[np.ndarray]:
    """Scores, boxes (left, up, right, down) and points, both in strides from the anchor, of all anchors by level."""
    counts = [2 * (512 // stride) ** 2 for stride in STRIDES]
    scores = [np.zeros((count, 1), np.float32) for count in counts]
    scores[-1][2 * (8 * 16 + 8)] = 0.9  # the middle of the 16x16 places at stride 32
    boxes = [np.full((count, 4), 5, np.float32) for count in counts]
    points = [np.zeros((count, 10), np.float32) for count in counts]
    return [*scores, *boxes, *points]


def _ring(count: int, centre: Sequence[float], radius: float, places: Any) -> np.ndarray:
    """Landmarks (1, 2*count) on a circle, but eyes and lips where upstream looks for them."""
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False)
    points = np.asarray(centre) + radius * np.stack([np.cos(angles), np.sin(angles)], 1)
    for indices, place in places.items():
        points[list(indices)] = place
    return points.reshape(1, -1).astype(np.float32)


def _save_answers(path: Path, name: str, shape: Sequence[int], answers: Sequence[np.ndarray]) -> None:
    """An ONNX model that takes a picture and gives these arrays."""
    from onnx import helper, numpy_helper

    names = [f"answer{index}" for index in range(len(answers))]
    nodes = [
        helper.make_node("Constant", [], [one], value=numpy_helper.from_array(answer, one))
        for one, answer in zip(names, answers)
    ]
    _save_onnx(path, nodes, (name, shape), {one: answer.shape for one, answer in zip(names, answers)})


def _save_speech(path: Path) -> None:
    """Sound (1, 6480) at 16 kHz -> (20, 1024): windows of 25 ms, 20 ms apart, as HuBERT's."""
    from onnx import helper, numpy_helper

    weight = np.random.default_rng(SEED).normal(0, 0.5, (SPEECH_FEATURES, 1, 400)).astype(np.float32)
    constants = {"weight": weight, "one": np.array([1], np.int64), "zero": np.array([0], np.int64)}
    nodes = [
        helper.make_node("Constant", [], [key], value=numpy_helper.from_array(value, key))
        for key, value in constants.items()
    ]
    nodes += [
        helper.make_node("Unsqueeze", ["input_values", "one"], ["sound"]),
        helper.make_node("Conv", ["sound", "weight"], ["rows"], strides=[320]),
        helper.make_node("Squeeze", ["rows", "zero"], ["columns"]),
        helper.make_node("Transpose", ["columns"], ["encoding_out"], perm=[1, 0]),
    ]
    _save_onnx(path, nodes, ("input_values", (1, 6480)), {"encoding_out": (20, SPEECH_FEATURES)})


def _save_onnx(path: Path, nodes: Any, given: Any, answers: Any) -> None:
    import onnx
    from onnx import TensorProto, helper

    inputs = [helper.make_tensor_value_info(given[0], TensorProto.FLOAT, given[1])]
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in answers.items()]
    graph = helper.make_graph(nodes, "answers", inputs, outputs)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
