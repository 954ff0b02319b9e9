"""Linear morphable face models behind one interface: mean, identity basis, expression basis, landmark map, triangles.

    vertices = mean + sum_i alpha_i identity_basis_i + sum_k beta_k expression_basis_k, in model units.

Model units: the outer eye corners of the mean face are 1 apart. Axes as in landmarks: x right, y down, z away from the
viewer. The mean face looks at the viewer; its vertices' centroid is at the origin.
"""

import dataclasses
import functools
import hashlib
import importlib
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from chdtf.errors import UserError
from chdtf.files import atomic_path
from chdtf.schema import NUM_VERTICES

DEFAULT_MODEL = "mp468"
# what coefficients mean; triangles, names and the licence can change without changing that
_MEANING = ("mean", "identity_basis", "expression_basis", "alignment_weights", "fit_weights", "identity_noise")

_DEFAULT: Any = None


@dataclasses.dataclass(frozen=True, eq=False)
class LandmarkMap:
    """M of MediaPipe's 468 vertices as points on a model's surface."""

    landmarks: np.ndarray  # (M,) int32, numbers of MediaPipe vertices, ascending
    corners: np.ndarray  # (M, 3) int32, the vertices of the triangle that holds the point
    shares: np.ndarray  # (M, 3) float32, barycentric coordinates in it; rows sum to 1

    def __post_init__(self) -> None:
        count = len(self.landmarks)
        for name, shape, dtype in (
            ("landmarks", (count,), np.int32),
            ("corners", (count, 3), np.int32),
            ("shares", (count, 3), np.float32),
        ):
            if getattr(self, name).shape != shape:
                raise ValueError(f"map of {count} landmarks: {name} is {getattr(self, name).shape}, not {shape}")
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype))
        if np.any(np.diff(self.landmarks) <= 0) or np.any((self.landmarks < 0) | (self.landmarks >= NUM_VERTICES)):
            raise ValueError(f"a map's landmarks ascend and lie in 0 to {NUM_VERTICES - 1}: {self.landmarks}")

    @classmethod
    def of_vertices(cls, landmarks: np.ndarray, vertices: np.ndarray) -> "LandmarkMap":
        """A map of landmarks (M,), ascending, onto single vertices (M,)."""
        corners = np.repeat(np.asarray(vertices)[:, None], 3, axis=1)
        return cls(np.asarray(landmarks), corners, np.broadcast_to(np.array([1, 0, 0]), corners.shape))

    def at(self, values: np.ndarray) -> np.ndarray:
        """Values at the vertices, (..., V, 3) -> values at the landmarks, float64 (..., M, 3)."""
        found: np.ndarray = np.einsum("...mcx,mc->...mx", values[..., self.corners, :], self.shares.astype(np.float64))
        return found

    @functools.cached_property
    def is_plain(self) -> bool:
        """Whether the model's vertices are MediaPipe's own."""
        numbers = np.arange(NUM_VERTICES)
        return np.array_equal(self.landmarks, numbers) and np.array_equal(self.corners[:, 0], numbers)


@dataclasses.dataclass(frozen=True, eq=False)
class FaceModel:
    """One morphable model. I identity and K expression dimensions, V vertices, F triangles, M mapped landmarks.

    Coefficients keep the meaning of the source: standard deviations for mp468, bfm and ict's identity, weights of 0
    to 1 for ict's expressions. Arrays are float32, indices int32. Raises `ValueError` for wrong shapes.
    """

    name: str
    mean: np.ndarray  # (V, 3)
    identity_basis: np.ndarray  # (I, V, 3)
    expression_basis: np.ndarray  # (K, V, 3), K = 64 in mp468 and bfm, 57 in ict
    triangles: np.ndarray  # (F, 3), wound so that what faces the viewer has normals with z < 0
    landmark_map: LandmarkMap
    alignment_weights: np.ndarray  # (M,) of the similarity alignment, not 0 on points that expressions move little
    fit_weights: np.ndarray  # (M,) of the least squares
    identity_noise: np.ndarray  # () effective sd per coordinate of what the identity basis leaves of a new face
    free_identity: bool  # an identity is a whole face (V, 3), and the identity basis only a prior for single images
    licence: str
    expression_names: tuple[str, ...] = ()  # K names, or none: they are only numbered
    expression_deviation: np.ndarray = _DEFAULT  # (K,) prior standard deviation of each coefficient; default 1
    unit: float = 1.0  # length of a model unit in the source's own units
    origin: np.ndarray = _DEFAULT  # (3,) the model's origin in the source: x_source = (x, -y, -z) unit + origin

    def __post_init__(self) -> None:
        vertices, landmarks = len(self.mean), len(self.landmark_map.landmarks)
        wanted: dict[str, tuple[int, ...]] = {
            "mean": (vertices, 3),
            "identity_basis": (len(self.identity_basis), vertices, 3),
            "expression_basis": (len(self.expression_basis), vertices, 3),
            "triangles": (len(self.triangles), 3),
            "alignment_weights": (landmarks,),
            "fit_weights": (landmarks,),
            "identity_noise": (),
            "expression_deviation": (len(self.expression_basis),),
            "origin": (3,),
        }
        defaults = {"expression_deviation": np.ones(len(self.expression_basis)), "origin": np.zeros(3)}
        for name, shape in wanted.items():
            value = defaults[name] if getattr(self, name) is _DEFAULT else getattr(self, name)
            if value.shape != shape:
                raise ValueError(f"face model {self.name}: {name} is {value.shape}, not {shape}")
            object.__setattr__(self, name, np.asarray(value, np.int32 if name == "triangles" else np.float32))
        if self.expression_names and len(self.expression_names) != self.num_expression:
            raise ValueError(
                f"face model {self.name}: {len(self.expression_names)} names, {self.num_expression} expressions"
            )

    @property
    def num_vertices(self) -> int:
        """V."""
        return len(self.mean)

    @property
    def num_identity(self) -> int:
        """I, the number of identity dimensions."""
        return len(self.identity_basis)

    @property
    def num_expression(self) -> int:
        """K, the number of expression dimensions."""
        return len(self.expression_basis)

    @property
    def identity_shape(self) -> tuple[int, ...]:
        """Shape of an identity: (V, 3) when it is a whole face, else (I,)."""
        return (self.num_vertices, 3) if self.free_identity else (self.num_identity,)

    @functools.cached_property
    def hash(self) -> str:
        """Hex SHA-256 of the name and of what gives coefficients their meaning."""
        digest = hashlib.sha256(self.name.encode())
        arrays = {name: np.asarray(getattr(self, name)) for name in _MEANING}
        if not self.landmark_map.is_plain:
            arrays |= {"corners": self.landmark_map.corners, "shares": self.landmark_map.shares}
            arrays |= {"landmarks": self.landmark_map.landmarks}
        for name, array in arrays.items():
            plain = np.ascontiguousarray(array, "<f4")
            digest.update(f"{name}{plain.shape}".encode() + plain.tobytes())
        return digest.hexdigest()

    @functools.cached_property
    def landmark_mean(self) -> np.ndarray:
        """The mean face at the mapped landmarks, float64 (M, 3)."""
        return self.landmark_map.at(self.mean)

    @functools.cached_property
    def landmark_identity(self) -> np.ndarray:
        """The identity basis at the mapped landmarks, float64 (I, M, 3)."""
        return self.landmark_map.at(self.identity_basis)

    @functools.cached_property
    def landmark_expression(self) -> np.ndarray:
        """The expression basis at the mapped landmarks, float64 (K, M, 3)."""
        return self.landmark_map.at(self.expression_basis)

    @functools.cached_property
    def projector(self) -> np.ndarray:
        """Weighted least squares as a matrix, float64 (3M, K): landmark offsets (T, 3M) @ projector = beta (T, K)."""
        root = np.sqrt(np.repeat(self.fit_weights.astype(np.float64), 3))
        basis = self.landmark_expression.reshape(self.num_expression, -1)
        inverse: np.ndarray = np.linalg.pinv(basis * root) * root[:, None]
        return inverse

    def face(self, identity: np.ndarray) -> np.ndarray:
        """The neutral face of an identity, of `identity_shape`: float64 (V, 3), model units."""
        if identity.shape != self.identity_shape:
            raise ValueError(f"an identity of {self.name} is {self.identity_shape}, not {identity.shape}")
        if self.free_identity:
            return identity.astype(np.float64)
        flat = identity.astype(np.float64) @ self.identity_basis.reshape(self.num_identity, -1)
        neutral: np.ndarray = self.mean + flat.reshape(-1, 3)
        return neutral

    def displacement(self, expression: np.ndarray) -> np.ndarray:
        """Vertex offsets of expressions beta (T, K) -> (T, V, 3), model units."""
        flat: np.ndarray = expression @ self.expression_basis.reshape(self.num_expression, -1)
        return flat.reshape(-1, self.num_vertices, 3)


def save_model(model: FaceModel, path: Path) -> None:
    """Write a model as npz, whole or not at all; the same model gives the same bytes."""
    fields = {field.name: getattr(model, field.name) for field in dataclasses.fields(model)}
    table = fields.pop("landmark_map")
    arrays = {name: np.asarray(value) for name, value in fields.items()}
    with atomic_path(path) as temporary:
        np.savez_compressed(temporary, **arrays, **{f"map_{k}": v for k, v in dataclasses.asdict(table).items()})


def read_model(path: Path) -> FaceModel:
    """The model in a file that `save_model` wrote. Raises `UserError` if it holds something else."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in arrays}
        table = LandmarkMap(*(found.pop(f"map_{field.name}") for field in dataclasses.fields(LandmarkMap)))
        found |= {name: found[name].item() for name in ("name", "licence", "free_identity", "unit")}
        found["expression_names"] = tuple(found["expression_names"].tolist())
        return FaceModel(landmark_map=table, **found)
    except (ValueError, KeyError, OSError, TypeError, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: not a face model ({error}); make one with: disentbench basis") from error


def model_names() -> tuple[str, ...]:
    """The models by name: the folder `chdtf/morphable/models` is the registry; modules with a _ in their name help."""
    folder = Path(__file__).parent / "models"
    return tuple(sorted(path.stem for path in folder.glob("*.py") if "_" not in path.stem))


def _module(name: str) -> Any:
    return importlib.import_module(f"chdtf.morphable.models.{name}")


@functools.lru_cache(maxsize=4)
def load_model(name: str | Path = DEFAULT_MODEL) -> FaceModel:
    """A model by name, or from a file: an .npz of `disentbench basis`, or a Basel Face Model as .mat.

    Raises `UserError` when there is none, or when its file, which the user supplies, is absent or another one.
    """
    path = Path(name)
    if path.suffix == ".npz":
        return read_model(path)
    if path.suffix != ".mat" and str(name) not in model_names():
        known = ", ".join(model_names())
        raise UserError(f"no face model {str(name)!r}; use {known}, or the path of an .npz or .mat file")
    found: FaceModel = _module("bfm").load(path) if path.suffix == ".mat" else _module(str(name)).load(None)
    return found
