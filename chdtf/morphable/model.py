"""The linear morphable model behind all coefficients: mean face, identity basis, expression basis.

Model units: the outer eye corners of the mean face are 1 apart. Axes as in landmarks: x right, y down, z away from the
viewer. The mean face looks at the viewer, is mirror symmetric in x, has forehead and chin (vertices 10 and 152) at
the same depth, and its vertices' centroid at the origin.
"""

import dataclasses
import functools
import hashlib
import zipfile
from pathlib import Path

import numpy as np

from chdtf.errors import UserError
from chdtf.files import atomic_path
from chdtf.schema import NUM_VERTICES

ASSETS = Path(__file__).parent.parent / "assets"
DEFAULT_MODEL = "mp468"
_ARRAYS = ("mean", "identity_basis", "expression_basis", "alignment_weights", "fit_weights", "identity_noise")


@dataclasses.dataclass(frozen=True, eq=False)
class FaceModel:
    """vertices = mean + sum_i alpha_i identity_basis_i + sum_k beta_k expression_basis_k, in model units.

    Both bases are scaled so that alpha and beta are in standard deviations of the footage that made them.
    All arrays are float32.
    """

    name: str
    mean: np.ndarray  # (468, 3)
    identity_basis: np.ndarray  # (I, 468, 3)
    expression_basis: np.ndarray  # (K, 468, 3), K = 64 in mp468
    alignment_weights: np.ndarray  # (468,) of the similarity alignment, not 0 on rigid vertices only
    fit_weights: np.ndarray  # (468,) of the least squares
    identity_noise: np.ndarray  # () effective sd per coordinate of what the identity basis leaves of a new face

    def __post_init__(self) -> None:
        wanted = {
            "mean": (NUM_VERTICES, 3),
            "identity_basis": (len(self.identity_basis), NUM_VERTICES, 3),
            "expression_basis": (len(self.expression_basis), NUM_VERTICES, 3),
            "alignment_weights": (NUM_VERTICES,),
            "fit_weights": (NUM_VERTICES,),
            "identity_noise": (),
        }
        for name, shape in wanted.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"face model {self.name}: {name} is {getattr(self, name).shape}, not {shape}")
            object.__setattr__(self, name, np.asarray(getattr(self, name), np.float32))

    @property
    def num_expression(self) -> int:
        """K, the number of expression dimensions."""
        return len(self.expression_basis)

    @functools.cached_property
    def hash(self) -> str:
        """Hex SHA-256 of the name and the arrays; names the space in which coefficients mean something."""
        digest = hashlib.sha256(self.name.encode())
        for name in _ARRAYS:
            array = np.ascontiguousarray(getattr(self, name), "<f4")
            digest.update(f"{name}{array.shape}".encode() + array.tobytes())
        return digest.hexdigest()

    @functools.cached_property
    def projector(self) -> np.ndarray:
        """Weighted least squares as a matrix, float64 (1404, K): offsets (T, 1404) @ projector = beta (T, K)."""
        root = np.sqrt(np.repeat(self.fit_weights.astype(np.float64), 3))
        basis = self.expression_basis.reshape(self.num_expression, -1).astype(np.float64)
        inverse: np.ndarray = np.linalg.pinv(basis * root) * root[:, None]
        return inverse

    def displacement(self, expression: np.ndarray) -> np.ndarray:
        """Vertex offsets of expressions beta (T, K) -> (T, 468, 3), model units."""
        flat: np.ndarray = expression @ self.expression_basis.reshape(self.num_expression, -1)
        return flat.reshape(-1, NUM_VERTICES, 3)


def save_model(model: FaceModel, path: Path) -> None:
    """Write a model as npz, whole or not at all; the same model gives the same bytes."""
    with atomic_path(path) as temporary:
        np.savez_compressed(temporary, name=np.array(model.name), **{name: getattr(model, name) for name in _ARRAYS})


@functools.lru_cache(maxsize=4)
def load_model(name: str | Path = DEFAULT_MODEL) -> FaceModel:
    """A bundled model by name (`mp468`), or one from an npz file. Raises `UserError` when there is none."""
    path = Path(name) if str(name).endswith(".npz") else ASSETS / f"{name}.npz"
    if not path.is_file():
        bundled = ", ".join(sorted(found.stem for found in ASSETS.glob("*.npz")))
        raise UserError(f"no face model {str(name)!r}; use {bundled}, or the path of an .npz file")
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return FaceModel(name=str(arrays["name"]), **{key: arrays[key] for key in _ARRAYS})
    except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: not a face model ({error}); make one with: disentbench basis") from error
