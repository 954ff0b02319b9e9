"""Coefficients: the one place that knows their layout, and how landmarks become coefficients and back.

    vertices_t = scale_t * R(rotation_t) @ (identity + sum_k expression_tk * expression_basis_k) + translation_t

Head pose: `rotation` is a rotation vector in radians about the landmarks' axes (x right, y down, z away from the
viewer), zero when the face looks at the viewer. Positive x: the head bows (chin away from the viewer). Positive y:
the nose turns to the left of the picture. Positive z: the head tilts clockwise in the picture.
`translation` is where the centroid of the mean face goes, px; `scale` is px per outer eye corner distance.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from chdtf.columns import Row
from chdtf.errors import UserError
from chdtf.morphable.model import FaceModel, load_model
from chdtf.morphable.similarity import Similarity
from chdtf.schema import NUM_VERTICES, SMOOTH

_CHUNK_FRAMES = 1024  # at a time, in measuring an error: an hour at once would take 6 GB


@dataclasses.dataclass(frozen=True, eq=False)
class Coefficients:
    """One clip in coefficients. Frames that are not valid are zero throughout."""

    identity: np.ndarray  # float32, one for the clip: (I,) coefficients, or a whole face (V, 3) in model units
    expression: np.ndarray  # (T, K) float32, in the model's own scale (mp468: standard deviations)
    rotation: np.ndarray  # (T, 3) float32, rotation vector, radians
    translation: np.ndarray  # (T, 3) float32, px
    scale: np.ndarray  # (T,) float32, px per model unit
    valid: np.ndarray  # (T,) bool

    def __post_init__(self) -> None:
        frames = len(self.valid)
        wanted: dict[str, tuple[int, ...]] = {
            "identity": (len(self.identity), 3) if self.identity.ndim == 2 else (len(self.identity),),
            "expression": (frames, self.expression.shape[-1]),
            "rotation": (frames, 3),
            "translation": (frames, 3),
            "scale": (frames,),
            "valid": (frames,),
        }
        for name, shape in wanted.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"coefficients of {frames} frames: {name} is {getattr(self, name).shape}, not {shape}")
            dtype = np.bool_ if name == "valid" else np.float32
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype))

    @property
    def num_frames(self) -> int:
        """T."""
        return len(self.valid)

    def replace(self, **arrays: np.ndarray) -> "Coefficients":
        """A copy with some arrays exchanged."""
        return dataclasses.replace(self, **arrays)


def vertices_of(coefficients: Coefficients, model: FaceModel) -> np.ndarray:
    """All vertices of coefficients, float32 (T, V, 3) px; NaN in frames that are not valid."""
    neutral, expression = model.face(coefficients.identity), coefficients.expression.astype(np.float64)
    return _posed(neutral + model.displacement(expression), coefficients)


def landmarks_of(coefficients: Coefficients, model: FaceModel) -> np.ndarray:
    """MediaPipe's vertices of coefficients, float32 (T, 468, 3) px.

    NaN for those that the model's landmark map lacks, and in frames that are not valid.
    """
    table = model.landmark_map
    neutral = table.at(model.face(coefficients.identity))
    basis = model.landmark_expression.reshape(model.num_expression, -1)
    moved = (coefficients.expression.astype(np.float64) @ basis).reshape(-1, len(neutral), 3)
    posed = _posed(neutral + moved, coefficients)
    if table.is_plain:
        return posed
    found = np.full((coefficients.num_frames, NUM_VERTICES, 3), np.nan, np.float32)
    found[:, table.landmarks] = posed
    return found


def _posed(faces: np.ndarray, coefficients: Coefficients) -> np.ndarray:
    """Faces (T, N, 3) in model units, as they stand in the frames: float32 (T, N, 3) px."""
    turn = Rotation.from_rotvec(coefficients.rotation.astype(np.float64)).as_matrix()
    pose = Similarity(turn, coefficients.scale.astype(np.float64), coefficients.translation.astype(np.float64))
    points: np.ndarray = pose.apply(faces).astype(np.float32)
    points[~coefficients.valid] = np.nan
    return points


def fit_error_px(
    landmarks: np.ndarray, coefficients: Coefficients, model: FaceModel, of: Sequence[int] | None = None
) -> float:
    """Mean distance in x and y of fitted and tracked landmarks over valid frames, px.

    Of all landmarks that the model maps, or of those among `of` (numbers of MediaPipe vertices).
    """
    chosen = model.landmark_map.landmarks
    if of is not None:
        chosen = chosen[np.isin(chosen, of)]
    frames, total_px = np.flatnonzero(coefficients.valid), 0.0
    for first in range(0, len(frames), _CHUNK_FRAMES):
        rows = frames[first : first + _CHUNK_FRAMES]
        part = coefficients.replace(**{name: getattr(coefficients, name)[rows] for name in (*SMOOTH, "valid")})
        apart = landmarks_of(part, model)[:, chosen, :2] - landmarks[rows][:, chosen, :2]
        total_px += float(np.linalg.norm(apart.astype(np.float64), axis=-1).sum())
    return total_px / (len(frames) * len(chosen))


def to_row(coefficients: Coefficients, model: FaceModel) -> Row:
    """The columns of `chdtf.schema.COEFFS` but for the fitter, its version and `fit_error_px`."""
    return {
        "face_model": model.name,
        "face_model_hash": model.hash,
        "identity": coefficients.identity.reshape(-1),
        "expression": coefficients.expression,
        "rotation": coefficients.rotation,
        "translation": coefficients.translation,
        "scale": coefficients.scale,
        "valid": coefficients.valid,
    }


def from_row(row: Row, model: FaceModel | None = None) -> Coefficients:
    """Coefficients from their columns. Raises `UserError` if they were made with another face model than `model`.

    Without `model` it is the one that the row names.
    """
    model = model or load_model(row["face_model"])
    if row["face_model_hash"] != model.hash:
        raise UserError(
            f"{row.get('clip_id', 'row')}: coefficients were made with face model {row['face_model']} "
            f"{row['face_model_hash'][:12]}, this one is {model.name} {model.hash[:12]}; run the fit stage again"
        )
    arrays: dict[str, Any] = {field.name: np.asarray(row[field.name]) for field in dataclasses.fields(Coefficients)}
    arrays["identity"] = arrays["identity"].reshape(model.identity_shape)
    return Coefficients(**arrays)
