"""Recognising a face: alignment by five points, and networks of the ArcFace family through ONNX Runtime."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from chdtf.errors import UserError

SIZE_PX = 112
# Where eyes, nose tip and corners of the mouth lie in the aligned picture, px: deepinsight/insightface, face_align.py
TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]], np.float64
)
POINTS = (468, 473, 4, 61, 291)  # the same in the mesh: irises, nose, mouth; the picture's left first
IMAGENET = ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))  # foamliu/MobileFaceNet, data_gen.py
ARCFACE = ((127.5,) * 3, (127.5,) * 3)  # insightface, arcface_onnx.py


def aligned_face(image: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """The face turned, scaled and moved onto the template: uint8 (H, W, 3), (478, 3) px -> uint8 (112, 112, 3)."""
    import cv2

    face: np.ndarray = cv2.warpAffine(image, _onto_template(landmarks[list(POINTS), :2]), (SIZE_PX, SIZE_PX))
    return face


def _onto_template(points: np.ndarray) -> np.ndarray:
    """The similarity that takes (5, 2) points closest to the template, as a (2, 3) matrix; no reflection.

    On complex numbers it is least squares in two unknowns: template = turn * point + shift.
    """
    z, w = points[:, 0] + 1j * points[:, 1], TEMPLATE[:, 0] + 1j * TEMPLATE[:, 1]
    centred = z - z.mean()
    turn = np.vdot(centred, w - w.mean()) / np.vdot(centred, centred).real
    shift = w.mean() - turn * z.mean()
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])


@dataclasses.dataclass(frozen=True)
class Recogniser:
    """A network that embeds aligned faces, and how it wants its input scaled."""

    session: Any  # onnxruntime.InferenceSession
    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    def embed(self, faces: np.ndarray) -> np.ndarray:
        """uint8 (N, 112, 112, 3) RGB -> float32 (N, D) of length 1."""
        name = self.session.get_inputs()[0].name
        scaled = ((faces - np.array(self.mean)) / np.array(self.deviation)).astype(np.float32).transpose(0, 3, 1, 2)
        # one by one: the published files differ in whether they take a batch
        found = np.concatenate([self.session.run(None, {name: face[None]})[0] for face in scaled])
        unit: np.ndarray = found / np.linalg.norm(found, axis=1, keepdims=True)
        return unit


def load_recogniser(path: Path, scaling: tuple[tuple[float, ...], tuple[float, ...]]) -> Recogniser:
    """A face recogniser from an ONNX file, on one thread of the CPU. Raises `UserError` for anything else."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # more cores are more workers
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions have no common base
        raise UserError(f"{path}: not a model that ONNX Runtime reads ({str(error).splitlines()[0]})") from error
    shape = session.get_inputs()[0].shape
    if len(session.get_inputs()) != 1 or list(shape[1:]) != [3, SIZE_PX, SIZE_PX]:
        raise UserError(f"{path}: takes input of shape {shape}; a face recogniser takes (1, 3, {SIZE_PX}, {SIZE_PX})")
    return Recogniser(session, *scaling)
