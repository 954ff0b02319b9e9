"""`bfm`: the Basel Face Model 2009 in the form of Deep3DFaceRecon, from files that the user supplies.

80 identity and 64 expression dimensions over 35,709 vertices; coefficients mean what they mean in Deep3DFaceRecon,
PIRenderer and SadTalker. The mean is recentred as there (models/bfm.py of Deep3DFaceRecon_pytorch): vertices in the
source's units and axes are mean + idBase alpha + exBase beta, minus the centroid of the mean.
"""

from pathlib import Path

import numpy as np

from chdtf import weights
from chdtf.errors import UserError
from chdtf.morphable.ibug import IBUG_68
from chdtf.morphable.model import FaceModel, LandmarkMap
from chdtf.morphable.models.bfm_transfer import (
    BFM_2009,
    FRONT_FILE,
    ORIGINAL_FILE,
    ORIGINAL_FILES,
    BfmArrays,
    Sizes,
    read_front,
    read_originals,
)

LICENCE = (
    "Basel Face Model 2009, University of Basel: non-commercial research, not to be passed on; supplied by the user"
)
TO_MODEL = np.array([1.0, -1.0, -1.0])  # the source's axes: x right, y up, z to the viewer
_OUTER_EYE_CORNERS = (36, 45)  # of the 68
_IDENTITY_NOISE = 0.02  # model units: what 80 dimensions leave of a face, and where trackers put points differently

_HOW_TO = (
    "register at https://faces.dmi.unibas.ch (Basel Face Model 2009) for 01_MorphableModel.mat, take Exp_Pca.bin from "
    "Guo et al.'s CoarseData (github.com/Juyong/3DFace) and the other files from the folder BFM of "
    "github.com/sicxu/Deep3DFaceRecon_pytorch"
)


def folder() -> Path:
    """Where the files are looked for when no path is given: `bfm` in the folder of weights."""
    return weights.folder() / "bfm"


def is_here() -> bool:
    """Whether there are files of the model in `folder()`; `load` tells whether they are the right ones."""
    return any((folder() / name).is_file() for name in (FRONT_FILE, ORIGINAL_FILE))


def load(path: Path | None, sizes: Sizes = BFM_2009) -> FaceModel:
    """The model from a folder (default: `folder()`), or from `BFM_model_front.mat` or `01_MorphableModel.mat` by path.

    A folder holds `BFM_model_front.mat`, or the six files that it is made of (`bfm_transfer.ORIGINAL_FILES`), which
    are then combined as Deep3DFaceRecon does. Raises `UserError` when they are absent (says where they come from) or
    when a file is another one (names it, the shape found and the one expected).
    """
    return model_of(_read(Path(path) if path else folder(), sizes))


def _read(path: Path, sizes: Sizes) -> BfmArrays:
    if path.suffix == ".mat" and not path.is_file():
        raise UserError(f"{path}: no such file; a bfm needs {FRONT_FILE} or {ORIGINAL_FILE}: {_HOW_TO}")
    if not path.is_file():
        front, where = path / FRONT_FILE, path
        if not front.is_file() and not (path / ORIGINAL_FILE).is_file():
            files = f"{FRONT_FILE}, or {', '.join(ORIGINAL_FILES)}"
            raise UserError(f"{where}: no face model bfm here; put there {files}: {_HOW_TO}")
    else:
        front, where = path, path.parent
    if front.is_file() and not _is_original(front):
        return read_front(front, sizes)
    return read_originals(where, sizes)


def _is_original(path: Path) -> bool:
    """Whether a file is BFM 2009 itself and not the front model made of it."""
    return path.name == ORIGINAL_FILE


def model_of(arrays: BfmArrays) -> FaceModel:
    """The face model in model units, without changing what coefficients mean."""
    centroid = arrays.mean.mean(axis=0)
    right, left = arrays.mean[arrays.keypoints[list(_OUTER_EYE_CORNERS)]]
    unit = float(np.linalg.norm(left - right))
    if unit == 0.0:
        raise UserError("a BFM whose outer eye corners coincide; is it BFM_model_front.mat of Deep3DFaceRecon?")
    mean = (arrays.mean - centroid) * TO_MODEL / unit
    order = np.argsort(IBUG_68)
    scale = (TO_MODEL / unit).astype(np.float32)
    return FaceModel(
        name="bfm",
        mean=mean,
        identity_basis=arrays.identity * scale,
        expression_basis=arrays.expression * scale,
        triangles=_towards_viewer(mean, arrays.triangles),
        landmark_map=LandmarkMap.of_vertices(np.array(IBUG_68)[order], arrays.keypoints[order]),
        alignment_weights=_alignment_weights()[order],
        fit_weights=_fit_weights()[order],
        identity_noise=np.array(_IDENTITY_NOISE),
        free_identity=False,
        licence=LICENCE,
        unit=unit,
        origin=np.zeros(3),
    )


def to_source(vertices: np.ndarray, model: FaceModel) -> np.ndarray:
    """Vertices (..., 3) in model units as Deep3DFaceRecon has them: decimetres, y up, z to the viewer, recentred."""
    moved: np.ndarray = vertices * TO_MODEL * model.unit + model.origin
    return moved


def _towards_viewer(mean: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Triangles wound so that, seen from the front (z < 0), normals point to the viewer."""
    a, b, c = (mean[triangles[:, corner]] for corner in range(3))
    turned = np.cross(b - a, c - a)[:, 2].sum() > 0
    return triangles[:, ::-1] if turned else triangles


def _alignment_weights() -> np.ndarray:
    """(68,): nose and eye corners; jaw, brows, lids and lips move with expressions or with the tracker."""
    rigid = np.zeros(68)
    rigid[[*range(27, 36), 36, 39, 42, 45]] = 1.0
    return rigid


def _fit_weights() -> np.ndarray:
    """(68,): lids and lips count most, since expressions are about them; sides of the jaw least.

    Against the 68 points of BFM's mean face, after alignment, mp468's lie within 0.02 of the outer eye corner distance
    on lids, nose and chin, 0.05 on brows, and 0.2 to 0.3 beside it on the sides of the jaw, where MediaPipe's oval
    follows the outline of the head.
    """
    wanted = np.ones(68)
    wanted[[*range(7), *range(10, 17)]] = 0.02
    wanted[17:27] = 0.5
    wanted[36:68] = 2.0
    return wanted
