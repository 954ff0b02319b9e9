"""Lip, eye and global subspaces of the expression dimensions (Eq. 1-2 of the paper).

The paper closes lips and eyes in source videos with a facial editing model and takes the dimensions whose parameters
change most. Here the edit is made on the fitted face itself: within the region it takes the shape that it has, on
average, in the clip's most closed frames. `natural_changes` is the second reading, which edits nothing: the most
closed against the most open frames.
"""

import dataclasses
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from chdtf.errors import UserError
from chdtf.faces import eye_aspect_ratio, mouth_opening
from chdtf.files import write_text
from chdtf.morphable.coefficients import Coefficients
from chdtf.morphable.model import DEFAULT_MODEL, FaceModel, load_model
from chdtf.morphable.regions import region_weights

K_LIP, K_EYE = 13, 8
CLOSED_SHARE = 0.2  # the share of a clip's frames that count as closed, and as open
ASSETS = Path(__file__).parent / "assets"

REGIONS = ("lip", "eye")
_OPENING: dict[str, Callable[[np.ndarray], np.ndarray]] = {"lip": mouth_opening, "eye": eye_aspect_ratio}


@dataclasses.dataclass(frozen=True)
class Subspaces:
    """D_lip, D_eye and D_global: indices of expression dimensions, ascending, together all of them once."""

    lip: tuple[int, ...]
    eye: tuple[int, ...]
    global_: tuple[int, ...]
    face_model_hash: str
    source: str  # what they were measured on, and how

    def __post_init__(self) -> None:
        everything = sorted((*self.lip, *self.eye, *self.global_))
        if everything != list(range(len(everything))):
            raise ValueError(f"subspaces must hold each dimension once: {self.lip}, {self.eye}, {self.global_}")

    @property
    def order(self) -> tuple[int, ...]:
        """Dimensions region by region: lip, eye, global."""
        return (*self.lip, *self.eye, *self.global_)

    def to_json(self) -> str:
        """As JSON text; `Subspaces.from_json` reads it back."""
        return json.dumps(dataclasses.asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> "Subspaces":
        """From `to_json`. Raises `ValueError` if a field is missing or the dimensions are not a partition."""
        raw: dict[str, Any] = json.loads(text)
        names = {field.name for field in dataclasses.fields(cls)}
        if set(raw) != names:
            raise ValueError(f"subspaces have the fields {sorted(names)}, not {sorted(raw)}")
        fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in raw.items()}
        return cls(**fields)


def load_subspaces(model: FaceModel | None = None) -> Subspaces:
    """The bundled subspaces of `model` (default `mp468`). Raises `UserError` when none were made for it."""
    model = model or load_model(DEFAULT_MODEL)
    path = ASSETS / f"{model.name}_subspaces.json"
    if not path.is_file():
        raise UserError(f"no subspaces bundled for face model {model.name!r}; compute them with find_subspaces")
    subspaces = Subspaces.from_json(path.read_text(encoding="utf-8"))
    if subspaces.face_model_hash != model.hash:
        raise UserError(
            f"{path.name}: made for face model {subspaces.face_model_hash[:12]}, this one is {model.hash[:12]}; "
            "compute them again with find_subspaces"
        )
    return subspaces


def save_subspaces(subspaces: Subspaces, path: Path) -> None:
    """Write subspaces as JSON, whole or not at all."""
    write_text(path, subspaces.to_json() + "\n")


def find_subspaces(clips: Sequence[Coefficients], model: FaceModel, source: str) -> Subspaces:
    """Eq. 1-2 on fitted clips, with the edited faces as Delta. `source` says what the clips are."""
    lip, eye = (edited_changes(clips, model, region) for region in REGIONS)
    return select(lip, eye, model.hash, source)


def select(
    lip: np.ndarray, eye: np.ndarray, face_model_hash: str, source: str, k_lip: int = K_LIP, k_eye: int = K_EYE
) -> Subspaces:
    """Eq. 1: D_r holds the K_r dimensions of largest |Delta_r^i| / sigma_i; Eq. 2: D_global the others.

    A dimension among the first of both regions goes to the one where its ratio is larger (to the lips if equal), and
    the other region takes its next; so each has exactly K_r.

    Args:
        lip: (N,) ratios |Delta_lip| / sigma.
        eye: (N,) ratios |Delta_eye| / sigma.
        face_model_hash: hash of the model that the dimensions belong to.
        source: description to keep.
        k_lip: K_lip.
        k_eye: K_eye.

    Raises:
        ValueError: if the shapes differ or N is smaller than K_lip + K_eye.

    """
    if lip.shape != eye.shape or lip.ndim != 1 or len(lip) < k_lip + k_eye:
        raise ValueError(f"ratios {lip.shape} and {eye.shape} cannot give {k_lip} and {k_eye} dimensions")
    candidates = [(-ratio, region, i) for region, ratios in enumerate((lip, eye)) for i, ratio in enumerate(ratios)]
    room, taken = [k_lip, k_eye], {}
    for _, region, i in sorted(candidates):  # strongest claim first; ties by region, then by index
        if i not in taken and room[region]:
            taken[i] = region
            room[region] -= 1
    chosen = [tuple(sorted(i for i in taken if taken[i] == region)) for region in (0, 1)]
    rest = tuple(i for i in range(len(lip)) if i not in taken)
    return Subspaces(chosen[0], chosen[1], rest, face_model_hash, source)


def edited_changes(clips: Sequence[Coefficients], model: FaceModel, region: str) -> np.ndarray:
    """|Delta_r^i| / sigma_i by editing: (K,), the root mean square over all frames of all clips.

    In every frame the region takes its shape in the clip's most closed frames; Delta is what that changes.
    """
    weights = region_weights(model.mean)[REGIONS.index(region)]
    square, motion, frames = np.zeros(model.num_expression), np.zeros(model.num_expression), 0
    for clip, offsets, opening in _opened(clips, model, region):
        closed = offsets[opening <= np.quantile(opening, CLOSED_SHARE)].mean(0)
        edit = weights[:, None] * (closed - offsets)
        square += np.square(edit.reshape(len(edit), -1) @ model.projector).sum(0)
        motion += np.square(clip.expression[clip.valid]).sum(0)
        frames += len(offsets)
    return _ratio(np.sqrt(square / frames), np.sqrt(motion / frames))


def natural_changes(clips: Sequence[Coefficients], model: FaceModel, region: str) -> np.ndarray:
    """|Delta_r^i| / sigma_i without editing: (K,), most closed against most open frames, mean over clips."""
    changes, motion, frames = [], np.zeros(model.num_expression), 0
    for clip, _, opening in _opened(clips, model, region):
        expression = clip.expression[clip.valid]
        low, high = np.quantile(opening, (CLOSED_SHARE, 1 - CLOSED_SHARE))
        changes.append(np.abs(expression[opening <= low].mean(0) - expression[opening >= high].mean(0)))
        motion += np.square(expression).sum(0)
        frames += len(expression)
    return _ratio(np.mean(changes, axis=0), np.sqrt(motion / frames))


def _opened(
    clips: Sequence[Coefficients], model: FaceModel, region: str
) -> Iterator[tuple[Coefficients, np.ndarray, np.ndarray]]:
    """(clip, vertex offsets (V, 468, 3), opening (V,)) of the valid frames of every clip that has any."""
    if not any(clip.valid.any() for clip in clips):
        raise ValueError(f"none of {len(clips)} clips has a valid frame")
    for clip in clips:
        if clip.valid.any():
            offsets = model.displacement(clip.expression[clip.valid].astype(np.float64))
            yield clip, offsets, _OPENING[region](clip.identity + offsets)


def _ratio(change: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """Change / deviation, 0 for a dimension that never moves."""
    ratio: np.ndarray = np.where(deviation > 0, change / np.where(deviation > 0, deviation, 1.0), 0.0)
    return ratio


def motion_share(dimensions: Sequence[int], model: FaceModel, region: str) -> float:
    """Share of the (squared) vertex motion inside the region when only `dimensions` move."""
    inside = region_weights(model.mean)[REGIONS.index(region)] > 0
    motion = np.square(model.expression_basis[list(dimensions)].astype(np.float64)).sum((0, 2))
    return float(motion[inside].sum() / motion.sum())


def opening_gain(
    dimensions: Sequence[int], clips: Sequence[Coefficients], model: FaceModel, region: str
) -> tuple[float, float]:
    """(slope, correlation) of the opening, when only `dimensions` move, against the full one; mean over clips.

    Slope 1 and correlation 1: the dimensions alone open and close the region; slope 0: they do not touch it.
    """
    chosen = np.zeros(model.num_expression)
    chosen[list(dimensions)] = 1.0
    gains = []
    for clip, _, full in _opened(clips, model, region):
        if np.std(full) > 0:
            partial = _OPENING[region](clip.identity + model.displacement(clip.expression[clip.valid] * chosen))
            slope = np.cov(full, partial)[0, 1] / np.var(full, ddof=1)
            gains.append((slope, np.corrcoef(full, partial)[0, 1] if np.std(partial) > 0 else 0.0))
    slope_mean, correlation_mean = np.mean(gains, axis=0)
    return float(slope_mean), float(correlation_mean)
