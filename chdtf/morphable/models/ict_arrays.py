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

FILENAME = "ict_face_light_9409.npz"
CONTENT_SHA256 = "7ecb7ffb6afbbdb47d65eae34e4e73bc06a6c09430107420622559ba9d1672aa"
LICENCE = "MIT (ICT-FaceKit, Copyright (c) 2020 USC Institute for Creative Technologies)"


@dataclasses.dataclass(frozen=True)
class Sizes:
    """V, I and K of the model, and its triangles; the defaults are those of the light version's face area."""

    vertices: int = 9409
    identities: int = 100
    expressions: int = 57
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
            if array.dtype.kind == "U":
                content = "\n".join(array.tolist()).encode()
            else:
                content = np.ascontiguousarray(array, "<i4" if array.dtype.kind == "i" else "<f4").tobytes()
            digest.update(f"{field.name}{array.shape}".encode() + content)
        return digest.hexdigest()


def read_arrays(path: Path, sizes: Sizes = ICT_LIGHT, content_sha256: str = CONTENT_SHA256) -> IctArrays:
    """The arrays of a file. Raises `UserError` when it is no such file, with what was found and what was expected."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            found = {field.name: stored[field.name] for field in dataclasses.fields(IctArrays) if field.name in stored}
            names = ", ".join(sorted(stored)) or "nothing"
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, TypeError, AttributeError) as error:
        raise UserError(f"{path}: not an .npz file ({error}); {AGAIN}") from error
    missing = [field.name for field in dataclasses.fields(IctArrays) if field.name not in found]
    if missing:
        raise UserError(f"{path}: no {', '.join(missing)} (it holds {names}); {AGAIN}")
    _check_shapes(path, found, sizes)
    arrays = IctArrays(**found)
    digest = arrays.content_hash()
    if digest != content_sha256:
        raise UserError(f"{path}: the content's sha256 is {digest}, expected {content_sha256}; {AGAIN}")
    return arrays


AGAIN = "remove it and run: disentbench weights fetch ict"


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
