"""The arrays of the face model `ict` as its source has them, and the file that holds them.

Source: ICT-FaceKit (Li et al., "Learning Formation of Physically-Based Face Attributes", CVPR 2020), light version, of
its mesh the "full face area": vertices 0 to 9408 and polygons 0 to 9229, each of these two triangles. Centimetres; x
to the subject's left, y up, z to the viewer.
"""

import dataclasses
import hashlib
import zipfile
from pathlib import Path

import numpy as np

from chdtf.errors import UserError
from chdtf.files import atomic_path

# In the source's order; a star stands for one shape for each side, _L and _R.
_SHAPES = """
    PupilDilate* browDown* browInnerUp* browOuterUp* cheekPuff* cheekRaiser* cheekSquint* eyeBlink*
    eyeLookDown* eyeLookIn* eyeLookOut* eyeLookUp* eyeSquint* eyeWide* jawForward jawLeft jawOpen
    jawRight mouthClose mouthDimple* mouthFrown* mouthFunnel mouthLeft mouthLowerDown* mouthPress*
    mouthPucker mouthRight mouthRollLower mouthRollUpper mouthShrugLower mouthShrugUpper mouthSmile*
    mouthStretch* mouthUpperUp* noseSneer*
"""
EXPRESSION_NAMES: tuple[str, ...] = tuple(
    name for shape in _SHAPES.split() for name in ([shape] if "*" not in shape else [f"{shape[:-1]}_{s}" for s in "LR"])
)
AGAIN = "remove it and run: disentbench weights fetch ict"
LICENCE = "MIT (ICT-FaceKit, Copyright (c) 2020 USC Institute for Creative Technologies)"


@dataclasses.dataclass(frozen=True)
class Sizes:
    """V, I and K of the model, polygons, and triangles that these are cut into; by default the light version's face."""

    vertices: int = 9409
    identities: int = 100
    expressions: int = 57
    polygons: int = 9230
    triangles: int = 18_460


ICT_LIGHT = Sizes()


@dataclasses.dataclass(frozen=True, eq=False)
class IctArrays:
    """The model in its own units and axes."""

    mean: np.ndarray  # (V, 3) float32
    identity: np.ndarray  # (I, V, 3) float32, standard deviations
    expression: np.ndarray  # (K, V, 3) float32, at weight 1
    expression_names: np.ndarray  # (K,) str
    triangles: np.ndarray  # (F, 3) int32

    def content_hash(self) -> str:
        """Hex SHA-256 of names, shapes and values: the same for the same arrays, however their file was compressed."""
        digest = hashlib.sha256()
        for field in dataclasses.fields(self):
            array = getattr(self, field.name)
            layout = {"i": "<i4", "f": "<f4"}.get(array.dtype.kind, array.dtype.str)
            plain = np.ascontiguousarray(array, layout)
            content = "\n".join(array.tolist()).encode() if array.dtype.kind == "U" else plain.tobytes()
            digest.update(f"{field.name}{array.shape}".encode() + content)
        return digest.hexdigest()


def read_arrays(path: Path, content_sha256: str, sizes: Sizes = ICT_LIGHT) -> IctArrays:
    """The arrays of a file. Raises `UserError` when it is no such file, with what was found and what was expected."""
    found = _read(path)
    _check_shapes(path, found, sizes)
    arrays = IctArrays(**found)
    digest = arrays.content_hash()
    if digest != content_sha256:
        raise UserError(f"{path}: the content's sha256 is {digest}, expected {content_sha256}; {AGAIN}")
    return arrays


def file_hash(path: Path) -> str:
    """Hex SHA-256 of the arrays in a file. Raises `UserError` when it is no such file."""
    return IctArrays(**_read(path)).content_hash()


def _read(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as stored:
            found = {field.name: stored[field.name] for field in dataclasses.fields(IctArrays) if field.name in stored}
            names = ", ".join(sorted(stored)) or "nothing"
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, TypeError, AttributeError) as error:
        raise UserError(f"{path}: not an .npz file ({error}); {AGAIN}") from error
    missing = [field.name for field in dataclasses.fields(IctArrays) if field.name not in found]
    if missing:
        raise UserError(f"{path}: no {', '.join(missing)} (it holds {names}); {AGAIN}")
    return found


def _check_shapes(path: Path, found: dict[str, np.ndarray], sizes: Sizes) -> None:
    wanted = {
        "mean": ((sizes.vertices, 3), "f"),
        "identity": ((sizes.identities, sizes.vertices, 3), "f"),
        "expression": ((sizes.expressions, sizes.vertices, 3), "f"),
        "expression_names": ((sizes.expressions,), "U"),
        "triangles": ((sizes.triangles, 3), "i"),
    }
    for name, (shape, kind) in wanted.items():
        array = found[name]
        if array.shape != shape or array.dtype.kind != kind:
            raise UserError(f"{path}: {name} is {array.shape} {array.dtype}, expected {shape} {_KINDS[kind]}; {AGAIN}")
        if kind == "f" and not np.isfinite(array).all():
            raise UserError(
                f"{path}: {name} has {np.count_nonzero(~np.isfinite(array))} NaN or infinite values; {AGAIN}"
            )


_KINDS = {"f": "float32", "U": "text", "i": "int32"}


def write_arrays(arrays: IctArrays, path: Path) -> None:
    """Write the file, whole or not at all."""
    with atomic_path(path) as temporary:
        np.savez_compressed(temporary, **{f.name: getattr(arrays, f.name) for f in dataclasses.fields(arrays)})
