"""Fitted meshes drawn over the frames that they were fitted to."""

import dataclasses
from collections.abc import Iterable, Iterator

import cv2
import numpy as np

from chdtf.morphable.coefficients import Coefficients, fit_error_px, vertices_of
from chdtf.morphable.drawing.render import render
from chdtf.morphable.model import FaceModel

_CHUNK = 16  # frames whose vertices are in memory at once
_MESH_RGB = (120.0, 190.0, 235.0)  # light blue: no skin has it
_LINE_RGB, _DOT_RGB = (20, 110, 190), (255, 208, 0)
_SUBPIXEL_BITS = 4
_LARGE_PX = 450  # a mesh this tall has edges smooth enough with one sample a pixel
_COARSE_PX = 12.0  # edges as long as this have lines that are a pixel wide


@dataclasses.dataclass(frozen=True)
class OverlayStyle:
    """How the mesh is drawn: shaded with an opacity in 0 to 1, or as lines; beside the frame as it was, or alone."""

    wireframe: bool = False
    opacity: float = 0.65
    beside: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.opacity <= 1:
            raise ValueError(f"opacity {self.opacity} is not above 0 and at most 1")


def meshes(coefficients: Coefficients, model: FaceModel) -> Iterator[np.ndarray | None]:
    """The vertices of every frame in turn, float32 (V, 3) px, or None where the frame is not valid.

    A few frames at a time, as all of a long clip would fill the memory.
    """
    for few, _ in _parts(coefficients):
        for vertices, valid in zip(vertices_of(few, model), few.valid, strict=True):
            yield vertices if valid else None


def mean_error_px(landmarks: np.ndarray, coefficients: Coefficients, model: FaceModel) -> float:
    """`fit_error_px` of landmarks (T, L, 3) px, a few frames at a time; NaN when no frame is valid."""
    total, frames = 0.0, 0
    for few, part in _parts(coefficients):
        count = int(few.valid.sum())
        if count:
            total, frames = total + count * fit_error_px(landmarks[part], few, model), frames + count
    return total / frames if frames else float("nan")


def _parts(coefficients: Coefficients) -> Iterator[tuple[Coefficients, slice]]:
    """A clip in pieces of a few frames, and where they lie."""
    frames = ("expression", "rotation", "translation", "scale", "valid")
    for start in range(0, coefficients.num_frames, _CHUNK):
        part = slice(start, start + _CHUNK)
        yield coefficients.replace(**{name: getattr(coefficients, name)[part] for name in frames}), part


def draw_mesh(image: np.ndarray, vertices: np.ndarray, triangles: np.ndarray, style: OverlayStyle) -> np.ndarray:
    """A mesh with vertices (V, 3) px over a frame, uint8 (H, W, 3) RGB; the frame is not changed."""
    if style.wireframe:
        return _wires(image, vertices, triangles)
    tall = float(np.ptp(vertices[:, 1]))
    size = (image.shape[0], image.shape[1])
    layer = render(vertices, triangles, size, np.array(_MESH_RGB), supersample=1 if tall > _LARGE_PX else 2)
    return layer.over(image, style.opacity)


def draw_landmarks(image: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Landmarks (L, 3) px as dots over a frame, uint8 (H, W, 3) RGB; those that are NaN are left out."""
    out = image.copy()
    found = landmarks[np.isfinite(landmarks).all(axis=1)]
    if len(found):
        radius = max(0.8, float(np.ptp(found[:, 1])) / 240)
        unit = 1 << _SUBPIXEL_BITS
        for x, y in np.round((found[:, :2] - 0.5) * unit).astype(int).tolist():
            cv2.circle(out, (x, y), round(radius * unit), _DOT_RGB, cv2.FILLED, cv2.LINE_AA, _SUBPIXEL_BITS)
    return out


def overlay(
    frames: Iterable[np.ndarray],
    coefficients: Coefficients,
    model: FaceModel,
    style: OverlayStyle | None = None,
    landmarks: np.ndarray | None = None,
    note: str = "no face",
) -> Iterator[np.ndarray]:
    """Every frame with its mesh over it, one at a time.

    Args:
        frames: uint8 (H, W, 3) RGB, as many as the coefficients have.
        coefficients: in pixels of these frames.
        model: the face model of the coefficients.
        style: how to draw.
        landmarks: (T, L, 3) px to be drawn as dots.
        note: what frames that are not valid say.

    Yields:
        uint8 (H', W', 3) RGB: the frame as it was and, to its right, with its mesh. H' and W' are even, as H.264 needs;
        an odd frame has its last row or column twice. A frame that is not valid has no mesh, and the note.

    Raises:
        ValueError: if the numbers of frames differ.

    """
    style = style or OverlayStyle()
    points = [None] * coefficients.num_frames if landmarks is None else landmarks
    for image, vertices, dots in zip(frames, meshes(coefficients, model), points, strict=True):
        drawn = image if vertices is None else draw_mesh(image, vertices, model.triangles, style)
        if dots is not None:
            drawn = draw_landmarks(drawn, dots)
        drawn = _even(_noted(drawn, note) if vertices is None else drawn)
        yield np.hstack([_even(image), drawn]) if style.beside else drawn


def strip(images: Iterable[np.ndarray], count: int, moments: int, columns: int) -> np.ndarray:
    """Some frames, evenly spaced among `count`, in rows of `columns`: uint8 RGB; places left over are white."""
    wanted = set(np.linspace(0, count - 1, min(moments, count)).round().astype(int).tolist())
    chosen = [image for number, image in enumerate(images) if number in wanted]
    missing = -len(chosen) % columns if len(chosen) > columns else 0
    chosen += [np.full_like(chosen[0], 255)] * missing
    rows = [np.hstack(chosen[start : start + columns]) for start in range(0, len(chosen), columns)]
    return np.vstack(rows)


def _wires(image: np.ndarray, vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """The edges of the triangles that face the viewer, a third to one pixel wide by how long they are."""
    corners = vertices[triangles][:, :, :2].astype(np.float64)
    ab, ac = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    facing = corners[ab[:, 0] * ac[:, 1] - ab[:, 1] * ac[:, 0] < 0]
    edge_px = float(np.ptp(vertices[:, 1])) / np.sqrt(len(triangles))
    thin = int(np.clip(np.ceil(_COARSE_PX / max(edge_px, 1.0)), 1, 3))
    size = (image.shape[1], image.shape[0])
    mask = np.zeros((size[1] * thin, size[0] * thin), np.uint8)
    lines = np.round((facing * thin - 0.5) * (1 << _SUBPIXEL_BITS)).astype(np.int32)
    cv2.polylines(mask, list(lines), True, 255, 1, cv2.LINE_AA, _SUBPIXEL_BITS)
    share = cv2.resize(mask, size, interpolation=cv2.INTER_AREA).astype(np.float32)[:, :, None] / 255
    drawn: np.ndarray = np.round(image * (1 - share) + np.array(_LINE_RGB, np.float32) * share).astype(np.uint8)
    return drawn


def _even(image: np.ndarray) -> np.ndarray:
    """The frame with an even height and width."""
    height, width = image.shape[:2]
    if height % 2 == width % 2 == 0:
        return image
    return np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")


def _noted(image: np.ndarray, note: str) -> np.ndarray:
    """The frame with a small note."""
    out = image.copy()
    scale = max(0.4, image.shape[0] / 640)
    place = (round(8 * scale), round(26 * scale))
    for colour, width in (((0, 0, 0), 3.0), ((255, 255, 255), 1.0)):
        cv2.putText(
            out, note, place, cv2.FONT_HERSHEY_SIMPLEX, scale, colour, max(1, round(width * scale)), cv2.LINE_AA
        )
    return out
