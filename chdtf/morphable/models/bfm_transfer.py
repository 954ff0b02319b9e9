"""Reading the Basel Face Model's files: `BFM_model_front.mat`, or the originals that it is made of.

Layouts and units as in Deep3DFaceRecon_pytorch (util/load_mats.py): vertices and bases in decimetres, bases scaled so
that coefficients are standard deviations, indices counted from 1.
"""

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from chdtf.errors import UserError
from chdtf.morphable.models.bfm_mat import StoredVariable, variables_of

FRONT_FILE = "BFM_model_front.mat"
ORIGINAL_FILE = "01_MorphableModel.mat"
EXPRESSION_FILE = "Exp_Pca.bin"
DEVIATION_FILE = "std_exp.txt"
FRONT_INDEX_FILE = "BFM_front_idx.mat"
TRIM_INDEX_FILE = "BFM_exp_idx.mat"
INFO_FILE = "facemodel_info.mat"
ORIGINAL_FILES = (ORIGINAL_FILE, EXPRESSION_FILE, DEVIATION_FILE, FRONT_INDEX_FILE, TRIM_INDEX_FILE, INFO_FILE)
NUM_IDENTITY, NUM_EXPRESSION, NUM_KEYPOINTS = 80, 64, 68
_MICROMETRES = 1e5  # in a decimetre


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Vertices of the three meshes and dimensions of the two bases; the defaults are BFM 2009's."""

    front: int = 35_709  # the face that Deep3DFaceRecon cuts out
    trimmed: int = 53_215  # the mesh of Guo et al.'s expression basis
    original: int = 53_490  # BFM 2009
    identities: int = 199
    expressions: int = 79


BFM_2009 = Sizes()


@dataclasses.dataclass(frozen=True, eq=False)
class BfmArrays:
    """The model as the source has it: decimetres; x right, y up, z to the viewer; indices from 0."""

    mean: np.ndarray  # (V, 3) float64, not recentred
    identity: np.ndarray  # (80, V, 3) float32
    expression: np.ndarray  # (64, V, 3) float32
    triangles: np.ndarray  # (F, 3) int32
    keypoints: np.ndarray  # (68,) int32, vertices of the 68 landmarks in the iBUG order


def read_front(path: Path, sizes: Sizes = BFM_2009) -> BfmArrays:
    """`BFM_model_front.mat`. Raises `UserError` for another file; it names the shape found and the one expected."""
    width = 3 * sizes.front
    wanted = {
        "meanshape": (1, width),
        "idBase": (width, NUM_IDENTITY),
        "exBase": (width, NUM_EXPRESSION),
        "tri": (None, 3),
        "keypoints": (1, NUM_KEYPOINTS),
    }
    found = read_mat(path, wanted, "Deep3DFaceRecon's front model of BFM 2009")
    return _checked(path, found["meanshape"], found["idBase"], found["exBase"], found)


def read_originals(folder: Path, sizes: Sizes = BFM_2009) -> BfmArrays:
    """The front model from BFM 2009, Guo et al.'s expression basis and the index files, all in one folder.

    The combination is that of Deep3DFaceRecon_pytorch: bases times their standard deviations, micrometres to
    decimetres, the first 80 and 64 dimensions, and of the vertices those that the two index files name. Raises
    `UserError` for a missing file or another one.
    """
    missing = [name for name in ORIGINAL_FILES if not (folder / name).is_file()]
    if missing:
        raise UserError(
            f"{folder}: {', '.join(missing)} missing of the files that the BFM is made of (docs: face models)"
        )
    width = 3 * sizes.original
    shape = {
        "shapeMU": (width, 1),
        "shapePC": (width, sizes.identities),
        "shapeEV": (sizes.identities, 1),
    }
    original = read_mat(folder / ORIGINAL_FILE, shape, "BFM 2009")
    front = read_mat(folder / FRONT_INDEX_FILE, {"idx": (sizes.front, 1)}, "the vertices of the front model")["idx"]
    trim = read_mat(folder / TRIM_INDEX_FILE, {"trimIndex": (sizes.trimmed, 1)}, "the vertices of the expression basis")
    info = {"tri": (None, 3), "keypoints": (1, NUM_KEYPOINTS)}
    info_found = read_mat(folder / INFO_FILE, info, "triangles and landmarks of the front model")
    in_trimmed = _indices(folder / FRONT_INDEX_FILE, "idx", front, sizes.trimmed).ravel()
    in_original = _indices(folder / TRIM_INDEX_FILE, "trimIndex", trim["trimIndex"], sizes.original).ravel()[in_trimmed]

    deviations = original["shapeEV"].ravel()[:NUM_IDENTITY] / _MICROMETRES
    directions = original["shapePC"][:, :NUM_IDENTITY].reshape(sizes.original, 3, -1)[in_original]
    identity = (directions * deviations).reshape(3 * sizes.front, -1)
    expression = _expression_basis(folder, sizes)[:, in_trimmed].reshape(NUM_EXPRESSION, -1).T
    mean = original["shapeMU"].reshape(sizes.original, 3)[in_original] / _MICROMETRES
    return _checked(folder / ORIGINAL_FILE, mean, identity, expression, info_found)


def _expression_basis(folder: Path, sizes: Sizes) -> np.ndarray:
    """(64, trimmed, 3): `Exp_Pca.bin` holds an int32 (79), the mean offset and the directions, float32."""
    path = folder / EXPRESSION_FILE
    width = 3 * sizes.trimmed
    expected = 4 * (1 + width * (1 + sizes.expressions))
    size = path.stat().st_size
    count = int(np.fromfile(path, "<i4", 1)[0]) if size >= 4 else 0
    if (size, count) != (expected, sizes.expressions):
        raise UserError(
            f"{path}: {size} bytes that begin with the number {count}; Guo et al.'s expression basis has {expected} "
            f"bytes and begins with {sizes.expressions}"
        )
    directions = np.fromfile(path, "<f4", NUM_EXPRESSION * width, offset=4 * (1 + width))
    deviations = _deviations(folder / DEVIATION_FILE, sizes)[:NUM_EXPRESSION] / _MICROMETRES
    basis: np.ndarray = directions.reshape(NUM_EXPRESSION, sizes.trimmed, 3) * deviations[:, None, None]
    return basis


def _deviations(path: Path, sizes: Sizes) -> np.ndarray:
    try:
        found = np.array(path.read_text(encoding="utf-8").split(), np.float64)
    except ValueError as error:
        raise UserError(f"{path}: not a list of {sizes.expressions} numbers ({error})") from error
    if found.shape != (sizes.expressions,) or not np.isfinite(found).all():
        raise UserError(f"{path}: {len(found)} numbers, {sizes.expressions} finite ones expected")
    return found


def _checked(
    path: Path, mean: np.ndarray, identity: np.ndarray, expression: np.ndarray, info: Mapping[str, np.ndarray]
) -> BfmArrays:
    """The arrays in our shapes, when their values can be those of a face model."""
    mean = mean.reshape(-1, 3).astype(np.float64)
    arrays = {"mean shape": mean, "identity basis": identity, "expression basis": expression}
    for name, values in arrays.items():
        if not np.isfinite(values).all():
            raise UserError(f"{path}: {name} has {np.count_nonzero(~np.isfinite(values))} values that are not finite")
    return BfmArrays(
        mean=mean,
        identity=_stack(identity),
        expression=_stack(expression),
        triangles=_indices(path, "tri", info["tri"], len(mean)),
        keypoints=_indices(path, "keypoints", info["keypoints"], len(mean)).ravel(),
    )


def _stack(columns: np.ndarray) -> np.ndarray:
    """(3V, N), a direction a column -> float32 (N, V, 3)."""
    return np.ascontiguousarray(columns.T, np.float32).reshape(columns.shape[1], -1, 3)


def _indices(path: Path, name: str, values: np.ndarray, count: int) -> np.ndarray:
    """Indices counted from 1, of whatever number type, as int32 from 0."""
    if not np.isfinite(values).all() or np.any(values != np.rint(values)) or values.min() < 1 or values.max() > count:
        raise UserError(
            f"{path}: {name} ranges from {values.min()} to {values.max()}; whole numbers 1 to {count} expected"
        )
    return values.astype(np.int32) - 1


def read_mat(path: Path, wanted: Mapping[str, tuple[int | None, int]], what: str) -> dict[str, np.ndarray]:
    """Numeric arrays of a MATLAB file; None in a shape means any number. Nothing in such a file is executed.

    Raises `UserError` if the file is of another kind, or an array is missing, not numeric, or of another shape.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file; expected {what}")
    kind = other_kind(path)
    if kind:
        raise UserError(f"{path}: {kind}, not {what}; {_EXPECTED}")
    with _readable(path):
        inside = variables_of(path)
    for name, shape in wanted.items():
        if name not in inside:
            raise UserError(f"{path}: not {what}: no {name}; it {_what_it_holds(inside)}")
        found = inside[name]
        fits = len(found.shape) == 2 and all(w in (None, f) for w, f in zip(shape, found.shape, strict=True))
        if not (found.is_numeric and fits):
            expected = " x ".join("any" if size is None else str(size) for size in shape)
            has = " x ".join(map(str, found.shape))
            raise UserError(
                f"{path}: not {what}: {name} is {has} {found.kind}, {expected} numbers expected{_hint(found.shape)}"
            )
    with _readable(path):
        return {name: inside[name].array() for name in wanted}


def _what_it_holds(inside: Mapping[str, StoredVariable]) -> str:
    if "shapeMU" in inside:
        return f"is BFM 2009 itself: name it {ORIGINAL_FILE} and put {', '.join(ORIGINAL_FILES[1:])} beside it"
    if "meanshape" in inside:
        return f"is a front model: name it {FRONT_FILE}"
    shapes = [(name, variable.shape) for name, variable in list(inside.items())[:6]]
    held = [f"{name} {' x '.join(map(str, shape))}{_hint(shape)}" for name, shape in shapes]
    return f"holds {', '.join(held) or 'nothing'}"


_EXPECTED = "BFM 2009 is needed: 01_MorphableModel.mat or BFM_model_front.mat"
_OTHERS = {53_149: "BFM 2017", 28_588: "BFM 2017, cropped to the face", 53_490: "BFM 2009, not cut to the front"}


def _hint(shape: tuple[int, ...]) -> str:
    """Which other Basel model has that many vertices."""
    named = [f" ({_OTHERS[size // 3]})" for size in shape if size % 3 == 0 and size // 3 in _OTHERS]
    return named[0] if named else ""


def other_kind(path: Path) -> str:
    """What a file is that is no MATLAB 5 file; empty where that cannot be told from its first bytes."""
    with path.open("rb") as stream:
        head = stream.read(128)
    if head.startswith(b"\x89HDF") or b"MATLAB 7.3" in head:
        return "an HDF5 file (MATLAB 7.3), as BFM 2017 and 2019 are"
    if head.startswith(b"PK\x03\x04"):
        return "a zip archive (unpack it)"
    if head.startswith(b"\x80") or head.startswith(b"(dp"):
        return "a pickle, which is not read"
    return ""


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (ValueError, OSError) as error:
        raise UserError(f"{path}: not a readable MATLAB file ({error})") from error
