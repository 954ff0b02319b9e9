"""`ict`: the light version of ICT-FaceKit (MIT), 100 identity and 57 named expression shapes on 9,409 vertices.

The landmark map is this project's own; how it was computed and what it is worth is in chdtf/assets/ict.md.
"""

from pathlib import Path

import numpy as np

from chdtf import weights
from chdtf.errors import UserError
from chdtf.faces import OUTER_EYE_CORNERS
from chdtf.morphable.model import FaceModel, LandmarkMap
from chdtf.morphable.models.ict_arrays import LICENCE, IctArrays, read_arrays
from chdtf.morphable.regions import EYES, alignment_weights, fit_weights

MAP_FILE = Path(__file__).parents[2] / "assets" / "ict_landmarks.npz"
_FLIP = np.array([1.0, -1.0, -1.0])  # y up and z to the viewer, to y down and z away
_IDENTITY_NOISE = 0.02
_EXPRESSION_DEVIATION = 0.25  # of weights that range from 0 to 1
_LID_FACTOR = 4.0  # against what mp468 gives lids: few shapes move them, and blinks must survive (assets/ict.md)


def load(path: Path | None) -> FaceModel:
    """The model from `ict_face_light_9409.npz`, of `path` or where `disentbench weights fetch ict` puts it.

    Raises `UserError` if the file is absent or holds other arrays.
    """
    entry = weights.get_weights("ict")
    path = path or weights.folder() / entry.filename
    if not path.is_file():
        raise UserError(f"{path} is not there; run: disentbench weights fetch ict")
    return to_model(read_arrays(path, entry.sha256), read_map())


def read_map() -> LandmarkMap:
    """The bundled landmark map."""
    with np.load(MAP_FILE, allow_pickle=False) as arrays:
        return LandmarkMap(arrays["landmarks"], arrays["corners"], arrays["shares"])


def to_model(arrays: IctArrays, landmark_map: LandmarkMap) -> FaceModel:
    """The source's arrays in model units and axes."""
    mean = arrays.mean.astype(np.float64)
    corners = landmark_map.at(mean)[np.searchsorted(landmark_map.landmarks, OUTER_EYE_CORNERS)]
    unit, origin = float(np.linalg.norm(corners[1] - corners[0])), mean.mean(0)
    scale = (_FLIP / unit).astype(np.float32)
    chosen = landmark_map.landmarks
    return FaceModel(
        name="ict",
        mean=(mean - origin) * _FLIP / unit,
        identity_basis=arrays.identity * scale,
        expression_basis=arrays.expression * scale,
        triangles=arrays.triangles,
        landmark_map=landmark_map,
        alignment_weights=alignment_weights()[chosen],
        fit_weights=_fit_weights()[chosen],
        identity_noise=np.array(_IDENTITY_NOISE),
        free_identity=False,
        licence=LICENCE,
        expression_names=tuple(arrays.expression_names.tolist()),
        expression_deviation=np.full(len(arrays.expression), _EXPRESSION_DEVIATION),
        unit=unit,
        origin=origin,
    )


def _fit_weights() -> np.ndarray:
    values = fit_weights()
    values[list(EYES)] *= _LID_FACTOR
    return values
