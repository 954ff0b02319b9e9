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
from chdtf.morphable.similarity import Similarity, fit_similarity
from chdtf.schema import NUM_VERTICES

FITTER = "umeyama_least_squares"
FITTER_VERSION = 1
_ROUNDS = 3  # planted coefficients are recovered to 1e-4 after two


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


def fit_clip(landmarks: np.ndarray, model: FaceModel) -> Coefficients:
    """Fit a tracked clip in closed form, all frames at once.

    Similarity alignment on the rigid vertices and weighted least squares for the expression take turns; the identity
    is the mean of the aligned faces, so that the mean expression of a clip is zero.

    Args:
        landmarks: (T, L, 3) px with L >= 468, NaN in frames without a face.
        model: the face model.

    Returns:
        Coefficients with T frames; frames with NaN are not valid.

    Raises:
        ValueError: if the shape is wrong or no frame has landmarks.

    """
    points, valid = _valid_points(landmarks)
    identity = model.mean.astype(np.float64)
    displacement = np.zeros((1, *identity.shape))
    for _ in range(_ROUNDS):
        aligned = fit_similarity(identity + displacement, points, model.alignment_weights).undo(points)
        identity = align_to_mean(aligned.mean(0), model)
        pose = fit_similarity(identity + displacement, points, model.alignment_weights)
        expression = _solve(pose.undo(points) - identity, model)
        displacement = model.displacement(expression)
    pose = fit_similarity(identity + displacement, points, model.alignment_weights)
    return _assemble(identity, _solve(pose.undo(points) - identity, model), pose, valid)


def fit_image(landmarks: np.ndarray, model: FaceModel) -> Coefficients:
    """Fit a single image: identity and expression are separated by the model's Gaussian priors (MAP).

    With offset = I alpha + B beta + noise, alpha and beta ~ N(0, 1) and noise ~ N(0, identity_noise^2 / weight), beta
    is the posterior mean; all that B beta does not explain stays in the identity, so the vertices are reproduced.

    Args:
        landmarks: (L, 3) px with L >= 468, without NaN.
        model: the face model.

    Returns:
        Coefficients with T = 1.

    Raises:
        ValueError: if the shape is wrong or a landmark is missing.

    """
    if landmarks.ndim != 2:
        raise ValueError(f"landmarks of one image are (478, 3), not {landmarks.shape}")
    points, valid = _valid_points(landmarks[None])
    pose = fit_similarity(model.mean, points, model.alignment_weights)
    face = pose.undo(points)[0]
    root = np.sqrt(np.repeat(model.fit_weights.astype(np.float64), 3)) / float(model.identity_noise)
    bases = np.concatenate([model.identity_basis, model.expression_basis]).astype(np.float64)
    design = bases.reshape(len(bases), -1) * root
    offset = (face - model.mean).reshape(-1) * root
    posterior = np.linalg.solve(design @ design.T + np.eye(len(bases)), design @ offset)
    expression = posterior[None, -model.num_expression :]
    return _assemble(face - model.displacement(expression)[0], expression, pose, valid)


def align_to_mean(face: np.ndarray, model: FaceModel) -> np.ndarray:
    """Move a face (468, 3) onto the model's mean by a similarity of its rigid vertices; identities are kept so."""
    moved: np.ndarray = fit_similarity(model.mean, face[None], model.alignment_weights).undo(face[None])[0]
    return moved


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
    offsets = (landmarks_of(coefficients, model) - landmarks[:, :NUM_VERTICES])[coefficients.valid][:, chosen, :2]
    return float(np.linalg.norm(offsets.astype(np.float64), axis=-1).mean())


def to_row(coefficients: Coefficients, model: FaceModel) -> Row:
    """The columns of `chdtf.schema.COEFFS` but for `fit_error_px`, which needs the landmarks."""
    return {
        "face_model": model.name,
        "face_model_hash": model.hash,
        "fitter": FITTER,
        "fitter_version": FITTER_VERSION,
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


def _valid_points(landmarks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vertices of the frames that have them, float64 (V, 468, 3), and which those are, bool (T,)."""
    if landmarks.ndim != 3 or landmarks.shape[1] < NUM_VERTICES or landmarks.shape[2] != 3:
        raise ValueError(f"landmarks are (T, 478, 3), not {landmarks.shape}")
    points = landmarks[:, :NUM_VERTICES]
    valid = np.isfinite(points).all(axis=(1, 2))
    if not valid.any():
        raise ValueError(f"none of {len(landmarks)} frames has landmarks")
    return points[valid].astype(np.float64), valid


def _solve(offsets: np.ndarray, model: FaceModel) -> np.ndarray:
    """Expression (T, K) of vertex offsets (T, 468, 3) from the identity."""
    expression: np.ndarray = offsets.reshape(len(offsets), -1) @ model.projector
    return expression


def _assemble(identity: np.ndarray, expression: np.ndarray, pose: Similarity, valid: np.ndarray) -> Coefficients:
    """Coefficients of all frames from those of the valid ones."""

    def spread(values: np.ndarray) -> np.ndarray:
        full = np.zeros((len(valid), *values.shape[1:]), np.float32)
        full[valid] = values
        return full

    return Coefficients(
        identity=identity.astype(np.float32),
        expression=spread(expression),
        rotation=spread(Rotation.from_matrix(pose.rotation).as_rotvec()),
        translation=spread(pose.translation),
        scale=spread(pose.scale),
        valid=valid,
    )
