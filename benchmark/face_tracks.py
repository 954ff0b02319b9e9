"""Faces as SyncNet's original pipeline finds them: S3FD, shots, tracks by overlap; by syncnet-python's own code."""

import dataclasses
import itertools
from pathlib import Path
from typing import Any, Protocol

import numpy as np

CONFIDENCE = 0.9
SCALE = 0.25  # of the picture that the detector sees


class Detector(Protocol):
    """S3FD as syncnet-python wraps it; tests put another in its place."""

    def detect_faces(self, image: np.ndarray, conf_th: float, scales: list[float]) -> np.ndarray:
        """uint8 (H, W, 3) RGB -> (N, 5): left, top, right, bottom in px, and confidence."""
        ...


@dataclasses.dataclass(frozen=True)
class FaceTrack:
    """One face from frame `begin` on, `boxes` float64 (N, 4) px: left, top, right, bottom; gaps are filled linearly."""

    begin: int
    boxes: np.ndarray


def load_s3fd(path: Path) -> Detector:
    """S3FD with a state dict from `path`, on the CPU."""
    import torch
    from syncnet_python.detectors.s3fd import S3FD
    from syncnet_python.detectors.s3fd.nets import S3FDNet

    network = S3FDNet(device="cpu")
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    detector: Detector = S3FD(net=network, device="cpu")
    return detector


def shots(frames: np.ndarray) -> list[tuple[int, int]]:
    """Frames (T, H, W, 3) RGB cut where PySceneDetect's ContentDetector sees a new shot: [begin, end) of each."""
    from scenedetect import ContentDetector

    detector = ContentDetector()
    cuts = [cut for i, frame in enumerate(frames) for cut in detector.process_frame(i, frame[..., ::-1])]
    edges = [0, *cuts, len(frames)]
    return list(itertools.pairwise(edges))


def face_tracks(detector: Detector, frames: np.ndarray, min_frames: int, min_face_px: int) -> list[FaceTrack]:
    """Tracks of uint8 (T, H, W, 3) RGB frames, as run_pipeline.py has them.

    Detected in more than `min_frames` frames, missed in at most 24 in a row, the longer mean side above `min_face_px`.
    """
    from syncnet_python.syncnet_pipeline import PipelineConfig, SyncNetPipeline

    pipeline: Any = SyncNetPipeline.__new__(SyncNetPipeline)  # its constructor wants both networks
    pipeline.cfg = PipelineConfig(min_track=min_frames, min_face_size=min_face_px)
    found = [
        [
            {"frame": i, "bbox": face[:4].tolist(), "conf": float(face[4])}
            for face in detector.detect_faces(frame, conf_th=CONFIDENCE, scales=[SCALE])
        ]
        for i, frame in enumerate(frames)
    ]
    tracks = []
    for begin, end in shots(frames):
        if end - begin >= min_frames:
            tracks += pipeline._track([faces.copy() for faces in found[begin:end]])
    return [FaceTrack(int(track["frame"][0]), np.asarray(track["bbox"], np.float64)) for track in tracks]
