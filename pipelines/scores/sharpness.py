"""Sharpness of a face: how much of its detail is fine."""

from collections.abc import Iterable

import cv2
import numpy as np

from chdtf.faces import FACE_OVAL


def face_sharpness(image: np.ndarray, landmarks: np.ndarray) -> float | None:
    """Variance of the Laplacian over variance, of the luma (8-bit levels) within the face's outline; 0 and more.

    `image` is uint8 (256, 256, 3) RGB and `landmarks` (478, 3) px. The variance of the Laplacian is the usual measure
    of focus (Pech-Pacheco et al., ICPR 2000); over the variance it does not depend on light and contrast. On real clips
    at 256 px 0.04 to 0.4; blurred by a Gaussian of 1 px 0.01 to 0.04, of 2 px below 0.015. Noise counts as detail.
    None when the face lies outside the picture or has no contrast.
    """
    luma = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    outline = cv2.convexHull(np.round(landmarks[list(FACE_OVAL), :2]).astype(np.int32))
    mask = np.zeros(luma.shape, np.uint8)
    cv2.fillConvexPoly(mask, outline, 1)
    inside = mask.astype(bool)
    if not inside.any() or luma[inside].var() < 1.0:
        return None
    return float(cv2.Laplacian(luma, cv2.CV_32F)[inside].var() / luma[inside].var())


def sharpness(images: Iterable[np.ndarray], landmarks: Iterable[np.ndarray]) -> float | None:
    """Median of `face_sharpness` over some frames and their landmarks; frames without a face (NaN) are left out."""
    pairs = zip(images, landmarks, strict=True)
    found = [face_sharpness(image, points) for image, points in pairs if np.isfinite(points).all()]
    values = [value for value in found if value is not None]
    return float(np.median(values)) if values else None
