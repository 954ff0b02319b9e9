"""Building the file of the face model `ict` from the Wavefront OBJ files of ICT-FaceKit, over HTTP.

One OBJ holds the whole head in one shape: `generic_neutral_mesh.obj`, `identity000.obj` to `identity099.obj`, and one
a named expression. Vertices come first in these files, and those of the face come first among them: reading stops
there, which saves nine tenths of the traffic. Shapes are stored as float32 differences to the neutral mesh.
"""

import contextlib
import dataclasses
import http.client
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from chdtf.errors import UserError, is_disk_full
from chdtf.files import atomic_path
from chdtf.morphable.models.ict_arrays import EXPRESSION_NAMES, ICT_LIGHT, IctArrays, Sizes, file_hash, write_arrays

NEUTRAL = "generic_neutral_mesh"
_TIMEOUT_S = 60.0
_CHUNK = 1 << 16
Progress = Callable[[int, int], None]  # files so far, files in all


@dataclasses.dataclass(frozen=True)
class IctRecipe:
    """How `chdtf.weights` makes and checks the file. Sizes and names differ in tests only."""

    sizes: Sizes = ICT_LIGHT
    expression_names: tuple[str, ...] = EXPRESSION_NAMES

    def content_hash(self, path: Path) -> str:
        """Hex SHA-256 of the arrays in a file. Raises `UserError` if it is no such file."""
        return file_hash(path)

    def build(self, url: str, target: Path, parts: Path, progress: Progress | None = None) -> None:
        """Download the shapes from the folder at `url` and write the model's file to `target`.

        Shapes that were read are kept in the folder `parts`, which is left, and not downloaded again. Raises
        `UserError` that names the file when one cannot be had or is not such an OBJ.
        """
        identities = [f"identity{number:03d}" for number in range(self.sizes.identities)]
        names = [NEUTRAL, *identities, *self.expression_names]
        shapes: list[np.ndarray] = []
        triangles = np.zeros((0, 3), np.int32)
        for name in names:
            if name == NEUTRAL:
                vertices, triangles = self._neutral(url, parts)
            else:
                vertices = self._shape(url, parts, name)
            shapes.append(vertices)
            if progress:
                progress(len(shapes), len(names))
        mean, deltas = shapes[0], np.stack(shapes[1:]) - shapes[0]
        count = self.sizes.identities
        write_arrays(
            IctArrays(mean, deltas[:count], deltas[count:], np.array(self.expression_names), triangles), target
        )

    def _neutral(self, url: str, parts: Path) -> tuple[np.ndarray, np.ndarray]:
        kept = parts / f"{NEUTRAL}.npz"
        if not kept.is_file():
            with _lines(f"{url}/{NEUTRAL}.obj") as lines:
                vertices, polygons = parse_obj(lines, self.sizes.vertices, self.sizes.polygons)
            with _writing(kept) as temporary:
                np.savez(temporary, vertices=vertices, triangles=fans(polygons))
        with np.load(kept, allow_pickle=False) as arrays:
            return arrays["vertices"], arrays["triangles"]

    def _shape(self, url: str, parts: Path, name: str) -> np.ndarray:
        kept = parts / f"{name}.npy"
        if not kept.is_file():
            with _lines(f"{url}/{name}.obj") as lines:
                vertices, _ = parse_obj(lines, self.sizes.vertices, 0)
            with _writing(kept) as temporary:
                np.save(temporary, vertices)
        found: np.ndarray = np.load(kept, allow_pickle=False)
        return found


def parse_obj(lines: Iterator[bytes], num_vertices: int, num_polygons: int) -> tuple[np.ndarray, list[list[int]]]:
    """The first vertices, float32 (N, 3), and the first polygons, vertex numbers from 0, of a Wavefront OBJ.

    Stops reading when it has them. Raises `ValueError` if the file has fewer, or lines that cannot be read.
    """
    vertices: list[list[bytes]] = []
    polygons: list[list[int]] = []
    for line in lines:
        words = line.split()
        if words[:1] == [b"v"] and len(vertices) < num_vertices:
            if len(words) < 4:
                raise ValueError(f"vertex {len(vertices)} is {line!r}")
            vertices.append(words[1:4])
        elif words[:1] == [b"f"] and len(polygons) < num_polygons:
            polygons.append([int(word.split(b"/")[0]) - 1 for word in words[1:]])
        if len(vertices) == num_vertices and len(polygons) == num_polygons:
            break
    if len(vertices) < num_vertices or len(polygons) < num_polygons:
        wanted = f"{num_vertices} vertices and {num_polygons} polygons"
        raise ValueError(f"it ends after {len(vertices)} vertices and {len(polygons)} polygons, expected {wanted}")
    if any(len(polygon) < 3 or min(polygon) < 0 or max(polygon) >= num_vertices for polygon in polygons):
        raise ValueError(f"a polygon has fewer than 3 corners, or corners outside the first {num_vertices} vertices")
    return np.array(vertices).astype(np.float64).astype(np.float32), polygons


def fans(polygons: list[list[int]]) -> np.ndarray:
    """Polygons as triangles from their first corner, int32 (F, 3)."""
    return np.array([(p[0], p[i], p[i + 1]) for p in polygons for i in range(1, len(p) - 1)], np.int32)


@contextlib.contextmanager
def _lines(url: str) -> Iterator[Iterator[bytes]]:
    """The lines of a file on the web; what goes wrong while they are read is a `UserError` that names the file."""
    request = urllib.request.Request(url, headers={"User-Agent": "disentbench"})  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:  # noqa: S310
            yield _split(response)
    except (OSError, http.client.HTTPException, ValueError) as error:
        why = getattr(error, "reason", error)
        raise UserError(f"{url}: {why}; run the same command again, what was read is kept") from error


def _split(response: http.client.HTTPResponse) -> Iterator[bytes]:
    """Whole lines; a response shorter than announced raises `ValueError` instead of giving its torn last line."""
    expected, received, rest = response.length, 0, b""
    while chunk := response.read(_CHUNK):
        received += len(chunk)
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
    if expected is not None and received < expected:
        raise ValueError(f"{received} of {expected} bytes came")
    yield rest


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[Path]:
    try:
        with atomic_path(path) as temporary:
            yield temporary
    except OSError as error:
        if is_disk_full(error):
            raise UserError(f"{path.parent}: no space left") from error
        raise UserError(f"{path.parent}: cannot write there ({error}); set DISENTBENCH_WEIGHTS") from error
