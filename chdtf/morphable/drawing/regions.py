"""The lip and eye regions on the vertices of any face model."""

import numpy as np
from scipy.spatial import cKDTree

from chdtf.morphable.model import DEFAULT_MODEL, FaceModel, load_model
from chdtf.morphable.regions import region_weights

_NEIGHBOURS = 4
_NEAR, _FAR = 0.12, 0.3  # model units from the next landmark: from here on a vertex belongs less, then not at all


def vertex_regions(model: FaceModel) -> tuple[np.ndarray, np.ndarray]:
    """Weights of the lip and of the eye region in [0, 1] at a model's vertices, float64 (V,) each.

    `chdtf.morphable.regions.region_weights` where the vertices are MediaPipe's; otherwise a vertex takes the weights
    of the landmarks nearest to it, by inverse distance, and none where no landmark is near (neck, back of the head).
    """
    if model.landmark_map.is_plain:
        return region_weights(model.mean)
    mapped = model.landmark_map.landmarks
    lip, eye = (weights[mapped] for weights in region_weights(load_model(DEFAULT_MODEL).mean))
    distance, which = cKDTree(model.landmark_mean).query(model.mean, k=min(_NEIGHBOURS, len(mapped)))
    share = 1.0 / (distance + 1e-6)
    share *= np.clip((_FAR - distance[:, :1]) / (_FAR - _NEAR), 0.0, 1.0) / share.sum(axis=1, keepdims=True)
    return (lip[which] * share).sum(axis=1), (eye[which] * share).sum(axis=1)
