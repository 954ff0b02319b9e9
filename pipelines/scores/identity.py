"""Who is seen: the embedding of a clip's face, by MobileFaceNet or a network of the ArcFace family."""

import numpy as np

from chdtf.columns import Row
from chdtf.recogniser import ARCFACE, IMAGENET, Recogniser, aligned_face, load_recogniser
from pipelines.scores.footage import Footage

__all__ = ["ARCFACE", "COLUMNS", "IMAGENET", "Recogniser", "identity_embedding", "load_recogniser", "scores"]

COLUMNS = ("identity_embedding",)


def identity_embedding(recogniser: Recogniser, images: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Mean embedding of some frames, brought to length 1: uint8 (N, H, W, 3), (N, 478, 3) px -> float32 (D,).

    The cosine of two clips is their vectors' dot product. MobileFaceNet, measured on real clips: some 0.7 (0.54 and
    more) for one person in different recordings, 0.05 (up to 0.34) for different persons.
    """
    faces = np.stack([aligned_face(image, points) for image, points in zip(images, landmarks, strict=True)])
    mean = recogniser.embed(faces).mean(axis=0)
    unit: np.ndarray = (mean / np.linalg.norm(mean)).astype(np.float32)
    return unit


def scores(recogniser: Recogniser, clip: Footage, count: int) -> Row:
    """The column of this family. Raises `ValueError` with the reason when it cannot be computed."""
    chosen = clip.spread(count)
    if not len(chosen):
        raise ValueError("no_face: found in no frame")
    return {"identity_embedding": identity_embedding(recogniser, clip.frames[chosen], clip.landmarks[chosen])}
