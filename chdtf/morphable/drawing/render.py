"""A small mesh renderer: orthographic, Lambert shading with a headlight, antialiased by supersampling.

Triangles that face away are left out, as are openings, which have none; the others are drawn from the farthest to the
nearest (painter's order, which suits faces: their triangles are small and do not cross). Vertices are in pixels: x
right, y down, z away from the viewer; the upper left corner of the picture is (0, 0), as in landmarks.
"""

import dataclasses

import cv2
import numpy as np

SKIN = (222.0, 196.0, 176.0)  # RGB of a mesh without colours of its own
_SUBPIXEL_BITS = 6  # cv2 draws polygons at 1/64 px
_AMBIENT = 0.28
# Towards the light: a headlight raised a little, or a face seen from the front has no relief
_LIGHT = np.array([-0.25, -0.45, -1.0]) / np.linalg.norm([-0.25, -0.45, -1.0])
_EDGE_ON = 1e-3  # px^2, twice the area: what is smaller is seen edge-on


@dataclasses.dataclass(frozen=True, eq=False)
class Layer:
    """A picture of a mesh with its transparency, for the part of a frame that the mesh covers."""

    x0: int
    y0: int
    colour: np.ndarray  # (h, w, 3) uint8 RGB, already multiplied by the coverage
    coverage: np.ndarray  # (h, w) uint8, 255 where the mesh covers the whole pixel

    def over(self, image: np.ndarray, opacity: float = 1.0) -> np.ndarray:
        """The layer over a picture, uint8 (H, W, 3) RGB; `opacity` in 0 to 1. The picture is not changed."""
        out = image.copy()
        if not self.coverage.size:
            return out
        height, width = self.coverage.shape
        below = out[self.y0 : self.y0 + height, self.x0 : self.x0 + width]
        kept = 255 - opacity * self.coverage.astype(np.float32)
        below[:] = cv2.add(
            cv2.multiply(below, cv2.merge([kept] * 3), scale=1 / 255, dtype=cv2.CV_8U),
            cv2.convertScaleAbs(self.colour, alpha=opacity),
        )
        return out


def normals(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Unit normals of vertices (V, 3), means of their triangles' weighted by area: float64 (V, 3).

    Towards the viewer (z < 0) where the triangles (F, 3) are wound as in `FaceModel`.
    """
    a, b, c = (vertices[triangles[:, k]].astype(np.float64) for k in range(3))
    faces = np.cross(b - a, c - a)
    corners, count = triangles.T.reshape(-1), len(vertices)
    summed = np.stack([np.bincount(corners, np.tile(faces[:, k], 3), count) for k in range(3)], axis=1)
    length = np.linalg.norm(summed, axis=1, keepdims=True)
    unit: np.ndarray = summed / np.where(length > 0, length, 1.0)
    return unit


def shade(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Brightness of vertices (V, 3) in [ambient, 1], float64 (V,): Lambert's cosine law."""
    cosine = np.clip(normals(vertices, triangles) @ _LIGHT, 0.0, 1.0)
    brightness: np.ndarray = _AMBIENT + (1 - _AMBIENT) * cosine
    return brightness


def render(
    vertices: np.ndarray,
    triangles: np.ndarray,
    size: tuple[int, int],
    colours: np.ndarray | None = None,
    supersample: int = 2,
) -> Layer:
    """Draw a mesh.

    Args:
        vertices: (V, 3) px.
        triangles: (F, 3), wound as in `FaceModel`.
        size: (height, width) of the frame, px.
        colours: (V, 3) RGB of 0 to 255, or (3,) for all, which is drawn faster; None: `SKIN`.
        supersample: samples per pixel and axis.

    Returns:
        The part of the frame that the mesh covers; empty where that is nothing.

    Raises:
        ValueError: if a shape is wrong or a vertex is not finite.

    """
    if vertices.ndim != 2 or vertices.shape[1] != 3 or not np.isfinite(vertices).all():
        raise ValueError(f"a mesh to draw has finite vertices (V, 3), not {vertices.shape} {vertices.dtype}")
    base = np.asarray(SKIN if colours is None else colours, np.float64)
    if base.shape not in ((3,), vertices.shape):
        raise ValueError(f"colours are {vertices.shape} or (3,), not {base.shape}")
    low = np.maximum(np.floor(vertices[:, :2].min(0)).astype(int) - 1, 0)
    high = np.minimum(np.ceil(vertices[:, :2].max(0)).astype(int) + 1, [size[1], size[0]])
    width, height = np.maximum(high - low, 0)
    if not width or not height:
        return Layer(0, 0, np.zeros((0, 0, 3), np.uint8), np.zeros((0, 0), np.uint8))
    # sample k of a pixel lies at (k + 0.5) / supersample from its left side
    points = (vertices[:, :2] - low) * supersample - 0.5
    faces = _visible(points, vertices[:, 2], triangles)
    seen = _paint(points, faces, (int(height) * supersample, int(width) * supersample))
    brightness = shade(vertices, triangles)[:, None]
    if base.ndim == 1:  # one channel to interpolate instead of three
        level, covered = _interpolate(points, faces, 255 * brightness, seen)
        colour = np.round(np.arange(256)[:, None] / 255 * base).astype(np.uint8)[level[:, :, 0]]
    else:
        colour, covered = _interpolate(points, faces, base * brightness, seen)
    small = (int(width), int(height))
    return Layer(
        int(low[0]),
        int(low[1]),
        cv2.resize(colour, small, interpolation=cv2.INTER_AREA),
        cv2.resize(covered, small, interpolation=cv2.INTER_AREA),
    )


def _visible(points: np.ndarray, depth: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """The triangles that face the viewer, farthest first: (G, 3)."""
    a, b, c = (points[triangles[:, k]] for k in range(3))
    ab, ac = b - a, c - a
    facing = triangles[ab[:, 0] * ac[:, 1] - ab[:, 1] * ac[:, 0] < -_EDGE_ON]
    ordered: np.ndarray = facing[np.argsort(-depth[facing].sum(1), kind="stable")]
    return ordered


def _paint(points: np.ndarray, faces: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Which triangle each sample shows, int32 of `size`, -1 for none."""
    seen = np.full(size, -1, np.int32)
    corners = np.round(points * (1 << _SUBPIXEL_BITS)).astype(np.int32)[faces]
    fill = cv2.fillConvexPoly
    for number, triangle in enumerate(corners):
        fill(seen, triangle, number, 8, _SUBPIXEL_BITS)
    return seen


def _interpolate(
    points: np.ndarray, faces: np.ndarray, lit: np.ndarray, seen: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Values of the vertices (V, C) at the samples, (h, w, C), and coverage (h, w), uint8: linear within triangles."""
    colour, covered = np.zeros((*seen.shape, lit.shape[1]), np.uint8), np.zeros(seen.shape, np.uint8)
    y, x = np.nonzero(seen >= 0)
    which = seen[y, x]
    a, ab, ac = points[faces[:, 0]], *(points[faces[:, k]] - points[faces[:, 0]] for k in (1, 2))
    area = ab[:, 0] * ac[:, 1] - ab[:, 1] * ac[:, 0]
    # barycentric shares of b and c at (x, y), as (F, 3) factors of x, y and 1
    to_b = np.stack([ac[:, 1], -ac[:, 0], a[:, 1] * ac[:, 0] - a[:, 0] * ac[:, 1]], 1) / area[:, None]
    to_c = np.stack([-ab[:, 1], ab[:, 0], a[:, 0] * ab[:, 1] - a[:, 1] * ab[:, 0]], 1) / area[:, None]
    first, second, third = (lit[faces[:, k]] for k in range(3))
    plane = to_b[:, :, None] * (second - first)[:, None] + to_c[:, :, None] * (third - first)[:, None]  # (F, 3, C)
    plane[:, 2] += first
    plane = plane.astype(np.float32)
    low, high = (np.min([first, second, third], 0), np.max([first, second, third], 0))
    values = plane[which, 0] * x[:, None].astype(np.float32)
    values += plane[which, 1] * y[:, None].astype(np.float32)
    values += plane[which, 2]
    # a sample on the rim lies a little outside its triangle: no colour beyond those of the corners
    np.clip(values, low[which], high[which], out=values)
    colour[y, x] = np.round(values).astype(np.uint8)
    covered[y, x] = 255
    return colour, covered
