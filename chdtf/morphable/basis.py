"""Computing the face model `mp468` from landmark tracks.

Expression dimensions are principal components in three orthogonal blocks, because plain ones move lips and lids
together: 13 of the motion within the lip region, 8 of the motion within the eye region (the paper's K_lip and K_eye),
and the rest of what those two leave. Regions are soft (`chdtf.morphable.regions`). Every track is used together with
its mirror image, so that the mean is symmetric and each dimension moves both sides alike or opposite.
"""

import dataclasses
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.linalg import eigh

from chdtf.clip import read_clips
from chdtf.errors import UserError
from chdtf.faces import OUTER_EYE_CORNERS
from chdtf.morphable.model import DEFAULT_MODEL, FaceModel, LandmarkMap, load_model
from chdtf.morphable.regions import alignment_weights, fit_weights, mirror_map, region_weights
from chdtf.morphable.similarity import fit_similarity
from chdtf.schema import NUM_EXPRESSION, NUM_VERTICES

log = logging.getLogger(__name__)

NUM_LIP, NUM_EYE = 13, 8
_FOREHEAD, _CHIN = 10, 152
_MIRROR = np.array([-1.0, 1.0, 1.0])
# What a basis leaves of a new face is smooth: some 64 coordinates err together and count as one observation. Of the
# factors 0.3 to 64, 8 gives single frames the expressions nearest to those of their clips (assets/mp468.md).
_NOISE_FACTOR = 8.0


@dataclasses.dataclass(frozen=True)
class BasisSettings:
    """What the computation can be told. Frames turned further than `max_yaw_deg` are left out, as are clips with
    fewer than `min_frames` others; a clip gives at most `max_frames`, evenly spaced, so that long ones do not rule.
    """

    num_identity: int = 32
    max_yaw_deg: float = 35.0
    min_frames: int = 50
    max_frames: int = 250


@dataclasses.dataclass(frozen=True, eq=False)
class _Clip:
    identity: np.ndarray  # (468, 3) mean aligned face
    offsets: np.ndarray  # (T, 468, 3) aligned faces minus the identity


def compute_basis(
    tracks: Sequence[np.ndarray], settings: BasisSettings | None = None, name: str = DEFAULT_MODEL
) -> FaceModel:
    """Compute a face model from tracked clips, one array (T, 478, 3) px each, NaN in frames without a face.

    The bundled model's mean face says which pose is frontal and which vertices mirror each other; nothing else of it
    is used. Raises `UserError` if fewer than two clips, or fewer frames than 64 dimensions need, are usable.
    """
    settings = settings or BasisSettings()
    reference = load_model(DEFAULT_MODEL).mean.astype(np.float64)
    partner = mirror_map(reference)
    clips: list[_Clip] = []
    for _ in range(2):  # the second time against the mean of the first
        found = (_aligned_clip(track, reference, settings) for track in tracks)
        clips = [clip for clip in found if clip is not None]
        if clips:
            middle = np.mean([clip.identity for clip in clips], axis=0)
            middle = (middle + _mirrored(middle, partner)) / 2
            reference = (middle - middle.mean(0)) @ _to_model_units(middle).T
    log.info("basis: %d of %d clips are usable", len(clips), len(tracks))
    num_frames = sum(len(clip.offsets) for clip in clips)
    if len(clips) < 2 or 2 * num_frames < 4 * NUM_EXPRESSION:
        raise UserError(
            f"{len(clips)} usable clips with {num_frames} frames are too few for {NUM_EXPRESSION} dimensions; give more"
        )
    identities = np.stack([face for clip in clips for face in (clip.identity, _mirrored(clip.identity, partner))])
    offsets = np.concatenate([part for clip in clips for part in (clip.offsets, _mirrored(clip.offsets, partner))])
    unit = _to_model_units(identities.mean(0))
    identities, offsets = (identities - identities.mean((0, 1))) @ unit.T, offsets @ unit.T
    mean = identities.mean(0)
    return FaceModel(
        name=name,
        mean=_without_noise(mean),
        identity_basis=_without_noise(_identity_basis(identities - mean, settings.num_identity)),
        expression_basis=_without_noise(_expression_basis(offsets, mean)),
        alignment_weights=alignment_weights(),
        fit_weights=fit_weights(),
        identity_noise=np.array(_identity_noise(identities - mean, settings.num_identity)),
        triangles=load_model(DEFAULT_MODEL).triangles,
        landmark_map=LandmarkMap.of_vertices(np.arange(NUM_VERTICES), np.arange(NUM_VERTICES)),
        free_identity=True,
        licence="that of the footage it was computed from",
    )


def basis_from_datasets(roots: Sequence[Path], settings: BasisSettings | None = None) -> FaceModel:
    """Compute a face model from the landmarks of published datasets (`ROOT/coeffs/*.parquet`, column `landmarks`).

    Raises `UserError` if a root holds no such table, or the clips are too few.
    """
    return compute_basis([clip.landmarks() for root in roots for clip in read_clips(root)], settings)


def explained_variance(model: FaceModel, tracks: Sequence[np.ndarray], dims: Sequence[int]) -> list[float]:
    """Share of the (weighted) expression motion of `tracks` that the first d dimensions explain, for d in `dims`."""
    weights = np.sqrt(np.repeat(model.fit_weights.astype(np.float64), 3))
    settings = BasisSettings(max_yaw_deg=180.0, min_frames=1)
    clips = [clip for track in tracks if (clip := _aligned_clip(track, model.mean, settings)) is not None]
    offsets = np.concatenate([clip.offsets.reshape(len(clip.offsets), -1) for clip in clips]) * weights
    basis = model.expression_basis.reshape(model.num_expression, -1) * weights
    shares = []
    for count in dims:
        left = offsets - (offsets @ np.linalg.pinv(basis[:count])) @ basis[:count]
        shares.append(1.0 - float((left**2).sum() / (offsets**2).sum()))
    return shares


def _mirrored(faces: np.ndarray, partner: np.ndarray) -> np.ndarray:
    """The mirror image of faces or offsets (..., 468, 3)."""
    flipped: np.ndarray = faces[..., partner, :] * _MIRROR
    return flipped


def _vertices(track: np.ndarray) -> np.ndarray:
    """Vertices of the frames that have a face, float64 (V, 468, 3)."""
    points = track[:, :NUM_VERTICES]
    found: np.ndarray = points[np.isfinite(points).all(axis=(1, 2))].astype(np.float64)
    return found


def _to_model_units(face: np.ndarray) -> np.ndarray:
    """Scale and pitch (3, 3) that put a symmetric face into model units, forehead and chin equally deep."""
    _, y, z = face[_CHIN] - face[_FOREHEAD]
    cos, sin = y / np.hypot(y, z), z / np.hypot(y, z)
    right, left = OUTER_EYE_CORNERS
    matrix = np.array([[1, 0, 0], [0, cos, sin], [0, -sin, cos]])
    scaled: np.ndarray = matrix / np.linalg.norm(face[left] - face[right])
    return scaled


def _aligned_clip(track: np.ndarray, reference: np.ndarray, settings: BasisSettings) -> _Clip | None:
    """A clip's frames aligned to its own mean face, or None when too few are usable."""
    points = _vertices(track)
    if not len(points):
        return None
    weights = alignment_weights()
    turn = fit_similarity(reference, points, weights).rotation
    points = points[np.abs(np.degrees(np.arctan2(turn[:, 0, 2], turn[:, 2, 2]))) <= settings.max_yaw_deg]
    if len(points) < settings.min_frames:
        return None
    identity = reference
    for _ in range(3):
        face = fit_similarity(identity, points, weights).undo(points).mean(0)
        identity = fit_similarity(reference, face[None], weights).undo(face[None])[0]
    offsets = fit_similarity(identity, points, weights).undo(points) - identity
    keep = np.linspace(0, len(offsets) - 1, min(len(offsets), settings.max_frames)).round().astype(int)
    return _Clip(identity, offsets[keep])


def _principal(rows: np.ndarray, count: int) -> np.ndarray:
    """The `count` strongest orthonormal directions of rows (N, D) -> (count, D), strongest first, of any sign."""
    if len(rows) < rows.shape[1]:
        strongest: np.ndarray = np.linalg.svd(rows, full_matrices=False)[2][:count]
    else:
        last = rows.shape[1] - 1
        strongest = eigh(rows.T @ rows, subset_by_index=(last - count + 1, last))[1][:, ::-1].T
    return strongest


def _signed(directions: np.ndarray) -> np.ndarray:
    """Directions (N, D) with their largest entry positive; of mirrored vertices, which tie, the first one's."""
    size = np.abs(directions)
    first = (size >= (1 - 1e-4) * size.max(axis=1, keepdims=True)).argmax(axis=1)
    signed: np.ndarray = directions * np.sign(directions[np.arange(len(directions)), first])[:, None]
    return signed


def _without_noise(values: np.ndarray) -> np.ndarray:
    """Rounding noise, as in x on the mirror plane, made exactly 0."""
    return np.where(np.abs(values) < 1e-9, 0.0, values)


def _identity_basis(offsets: np.ndarray, count: int) -> np.ndarray:
    """Principal components of identities (N, 468, 3), scaled to standard deviations: (I, 468, 3)."""
    rows = offsets.reshape(len(offsets), -1)
    directions = _signed(_principal(rows, min(count, len(rows) // 2 - 1)))
    scaled: np.ndarray = directions * np.sqrt(np.mean((rows @ directions.T) ** 2, axis=0))[:, None]
    return scaled.reshape(-1, NUM_VERTICES, 3)


def _identity_noise(offsets: np.ndarray, count: int) -> float:
    """Effective standard deviation per coordinate of what a basis of the other clips leaves of a clip's identity."""
    rows = offsets.reshape(len(offsets), -1)
    left = []
    for first in range(0, len(rows), 2):
        others = np.delete(rows, [first, first + 1], axis=0)
        directions = _principal(others, min(count, max(1, len(others) // 2 - 1)))
        left.append(rows[first] - (rows[first] @ directions.T) @ directions)
    return _NOISE_FACTOR * float(np.sqrt(np.mean(np.square(left))))


def _expression_basis(offsets: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Offsets (N, 468, 3) -> basis (64, 468, 3) in standard deviations, strongest dimension first."""
    lip, eye = region_weights(mean)
    metric = np.sqrt(np.repeat(fit_weights(), 3))
    rows = offsets.reshape(len(offsets), -1) * metric
    blocks = []
    for weights, count in ((lip, NUM_LIP), (eye, NUM_EYE)):
        block = _principal(rows * np.repeat(weights, 3), count)
        blocks.append(_principal(rows @ block.T, count) @ block)  # turned within: uncorrelated coefficients
    local = np.concatenate(blocks)
    rest = rows - (rows @ local.T) @ local
    basis = _signed(np.concatenate([local, _principal(rest, NUM_EXPRESSION - len(local))]))
    deviations = np.sqrt(np.mean((rows @ basis.T) ** 2, axis=0))
    order = np.argsort(-deviations, kind="stable")
    scaled: np.ndarray = (basis * deviations[:, None])[order] / metric
    return scaled.reshape(-1, NUM_VERTICES, 3)
