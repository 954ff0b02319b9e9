"""The mesh that covers a portrait: 468 face vertices and, around them, a grid that fades to the still background.

Points are float64 (N, 3) in pixel-centre coordinates (landmarks in px minus one half): x right, y down, z away from
the viewer.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.spatial import Delaunay

from chdtf.faces import FACE_OVAL, INNER_LIPS, LEFT_EYE, RIGHT_EYE, RIGID, tessellation
from chdtf.morphable.similarity import fit_similarity
from chdtf.schema import NUM_VERTICES
from chdtf.warp.layers import Box

_SLIVER_PX = 0.35  # triangles less high than this are slivers
_SUBPIXEL_BITS = 5  # cv2 draws polygons at 1/32 px
_REACH = 1.15  # how far beyond the face oval the head takes its surroundings along, in face radii
_ROOM = 0.55  # where the frame cuts closer than this to the face, points outside the frame move too
_SPACING = 0.19  # of the grid around the face, in face radii


@dataclass(frozen=True)
class Motion:
    """A rigid motion with scale: x -> linear @ x + offset, (3, 3) and (3,)."""

    linear: np.ndarray
    offset: np.ndarray

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """(N, 3) -> (N, 3)."""
        moved: np.ndarray = points @ self.linear.T + self.offset
        return moved

    def plane(self, z: float) -> np.ndarray:
        """What happens in the image to points of the plane at depth z: affine (2, 3)."""
        return np.column_stack([self.linear[:2, :2], self.linear[:2, 2] * z + self.offset[:2]])


def head_motion(source: np.ndarray, target: np.ndarray) -> Motion:
    """Motion of the head between two sets of vertices (468, 3), from those that expressions move little."""
    rigid = list(RIGID)
    fit = fit_similarity(source[rigid], target[None, rigid], np.ones(len(rigid)))
    return Motion(fit.scale[0] * fit.rotation[0], fit.translation[0])


def halves(contour: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Upper and lower half of a contour of `chdtf.faces`, both from its first corner to the other, paired by place."""
    half = len(contour) // 2
    upper = contour[: half + 1]
    lower = (contour[0], *reversed(contour[half + 1 :]), contour[half])
    return np.array(upper), np.array(lower)


def opening_triangles(contour: tuple[int, ...]) -> np.ndarray:
    """Triangles (F, 3) that fill the opening inside a contour, between upper and lower half."""
    upper, lower = halves(contour)
    quads = zip(upper[:-1], upper[1:], lower[:-1], lower[1:], strict=True)
    faces = [face for a, b, c, d in quads for face in ((a, b, c), (b, d, c)) if len(set(face)) == 3]
    return np.array(faces, np.int32)


def smoothstep(x: np.ndarray | float) -> np.ndarray:
    """0 below 0, 1 above 1, 3x^2 - 2x^3 between."""
    x = np.clip(x, 0.0, 1.0)
    smooth: np.ndarray = np.asarray(x * x * (3 - 2 * x))
    return smooth


class HeadMesh:
    """Triangles over the part of an image that a moving head can change, and the inverse map of a moved mesh."""

    def __init__(self, face: np.ndarray, height: int, width: int) -> None:
        """`face`: vertices (468, 3) in an image of height x width px."""
        oval = face[list(FACE_OVAL)]
        radius = float(np.ptp(oval[:, 1])) / 2
        low, high = oval[:, :2].min(0), oval[:, :2].max(0)
        frame = np.array([width - 1.0, height - 1.0])
        low = np.maximum(low - _REACH * radius, np.minimum(0.0, low - _ROOM * radius))
        high = np.minimum(high + _REACH * radius, np.maximum(frame, high + _ROOM * radius))
        grid, inside = _surroundings(oval[:, :2], low, high, _SPACING * radius)
        gap = np.linalg.norm(grid[:, None] - oval[None, :, :2], axis=2)  # (G, 36)
        self._near = 1.0 / (gap + 1e-3) ** 4
        self._near /= self._near.sum(1, keepdims=True)
        nearest = gap.min(1)
        border = np.minimum(grid - low, high - grid).min(1)
        hold = smoothstep(border / (border + nearest + 1e-9) / 0.9)
        self._rigid_share = hold[:, None]
        self._loose_share = (hold * np.exp(-((nearest / (0.45 * radius)) ** 2)))[:, None]
        depth = self._near @ oval[:, 2] + np.minimum(0.5 * nearest, 0.5 * radius)
        self.source = np.vstack([face, np.column_stack([grid, depth])])
        self.outside = _triangulate(oval[:, :2], grid, inside)
        self._openings = np.vstack([opening_triangles(c) for c in (RIGHT_EYE, LEFT_EYE, INNER_LIPS)])
        self.skin = tessellation()
        self._facing = self.orientation(face)
        first = np.maximum(np.ceil(low), 0).astype(int)
        last = np.minimum(np.floor(high), frame).astype(int)
        self.box = Box(int(first[0]), int(first[1]), int(last[0]) + 1, int(last[1]) + 1)

    def place(self, target: np.ndarray, motion: Motion) -> np.ndarray:
        """All mesh points (N, 3) when the face vertices go to `target` (468, 3) and the head moves by `motion`."""
        face, around = self.source[:NUM_VERTICES], self.source[NUM_VERTICES:]
        oval = list(FACE_OVAL)
        loose = self._near @ (target[oval] - motion(face[oval]))
        moved = around + self._rigid_share * (motion(around) - around) + self._loose_share * loose
        return np.vstack([target, moved])

    def inverse_map(self, source: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where each pixel of `box` comes from: map_x, map_y float32, for mesh points that move source -> target."""
        labels, faces = self.triangles_at(target)
        affine = _affine(target[faces][:, :, :2], source[faces][:, :, :2])
        x = np.arange(self.box.x0, self.box.x1, dtype=np.float32)
        y = np.arange(self.box.y0, self.box.y1, dtype=np.float32)[:, None]
        # the last entry serves label -1: pixels that the mesh does not reach stay where they are
        a, b, c, d, e, f = np.vstack([affine.reshape(-1, 6), [1, 0, 0, 0, 1, 0]]).astype(np.float32).T
        return (
            a[labels] * x + b[labels] * y + c[labels],
            d[labels] * x + e[labels] * y + f[labels],
        )

    def triangles_at(self, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which triangle each pixel of `box` shows, int32 (h, w), -1 for none, and the triangles, (F, 3).

        Openings lie under the skin, far skin under near skin, and skin that has turned over lowest.
        """
        depth = target[self.skin, 2].mean(1)
        turned = self.orientation(target) != self._facing
        skin = self.skin[np.lexsort((-depth, ~turned))]
        faces = np.vstack([self.outside, self._openings, skin])
        x0, y0, x1, y1 = self.box.x0, self.box.y0, self.box.x1, self.box.y1
        labels = np.full((y1 - y0, x1 - x0), -1, np.int32)
        corners = np.round((target[:, :2] - (x0, y0)) * (1 << _SUBPIXEL_BITS)).astype(np.int32)[faces]
        fill = cv2.fillConvexPoly
        for number, triangle in enumerate(corners):
            fill(labels, triangle, number, 8, _SUBPIXEL_BITS)
        return labels, faces

    def orientation(self, points: np.ndarray) -> np.ndarray:
        """Sign of the area of every skin triangle in the image: (F,)."""
        p, q, r = (points[self.skin[:, k], :2] for k in range(3))
        area = (q[:, 0] - p[:, 0]) * (r[:, 1] - p[:, 1]) - (q[:, 1] - p[:, 1]) * (r[:, 0] - p[:, 0])
        sign: np.ndarray = np.sign(area)
        return sign


def _surroundings(oval: np.ndarray, low: np.ndarray, high: np.ndarray, spacing: float) -> tuple[np.ndarray, np.ndarray]:
    """Grid points (G, 2) between the oval and the box, and the oval as a polygon."""
    count = np.maximum(np.round((high - low) / spacing).astype(int), 4)
    xs, ys = (np.linspace(low[k], high[k], count[k] + 1) for k in range(2))
    grid = np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2)
    polygon = oval.astype(np.float32)
    far = [cv2.pointPolygonTest(polygon, (float(x), float(y)), True) < -0.5 * spacing for x, y in grid]
    return grid[np.array(far)], polygon


def _triangulate(oval: np.ndarray, grid: np.ndarray, polygon: np.ndarray) -> np.ndarray:
    """Triangles (F, 3) between oval and grid, in the numbering of the whole mesh."""
    points = np.vstack([oval, grid])
    number = np.concatenate([np.array(FACE_OVAL), NUM_VERTICES + np.arange(len(grid))])
    simplices: np.ndarray = Delaunay(points).simplices
    centres = points[simplices].mean(1)
    outside = [
        bool((face >= len(oval)).any()) or cv2.pointPolygonTest(polygon, (float(x), float(y)), False) < 0
        for face, (x, y) in zip(simplices, centres, strict=True)
    ]
    faces: np.ndarray = number[simplices[np.array(outside)]]
    return faces.astype(np.int32)


def _affine(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Affine maps (F, 2, 3) that take triangles (F, 3, 2) to triangles (F, 3, 2).

    Slivers get the regularised least-squares map: the true one would throw the pixels beside them far away.
    """
    edges = np.stack([start[:, 1] - start[:, 0], start[:, 2] - start[:, 0]], axis=2)  # (F, 2, 2), columns
    wanted = np.stack([end[:, 1] - end[:, 0], end[:, 2] - end[:, 0]], axis=2)
    (a, b), (c, d) = edges[:, 0].T, edges[:, 1].T
    area = a * d - b * c
    longest = np.sqrt(np.maximum(np.maximum(a * a + c * c, b * b + d * d), (a - b) ** 2 + (c - d) ** 2))
    full = np.abs(np.linalg.det(wanted))
    thin = np.abs(area) < np.maximum(np.minimum(_SLIVER_PX * longest, 0.6 * full), 1e-6)
    inverse = np.stack([np.stack([d, -b], 1), np.stack([-c, a], 1)], 1) / np.where(thin, 1.0, area)[:, None, None]
    tall = edges[thin].transpose(0, 2, 1)
    inverse[thin] = tall @ _inverse_2x2(edges[thin] @ tall + _SLIVER_PX**2 * np.eye(2))
    linear = wanted @ inverse
    centre = np.where(thin[:, None], start.mean(1), start[:, 0])
    offset = np.where(thin[:, None], end.mean(1), end[:, 0]) - np.einsum("fij,fj->fi", linear, centre)
    return np.concatenate([linear, offset[:, :, None]], axis=2)


def _inverse_2x2(m: np.ndarray) -> np.ndarray:
    """Inverses of (F, 2, 2)."""
    swapped = np.stack([np.stack([m[:, 1, 1], -m[:, 0, 1]], 1), np.stack([-m[:, 1, 0], m[:, 0, 0]], 1)], 1)
    inverse: np.ndarray = swapped / (m[:, 0, 0] * m[:, 1, 1] - m[:, 0, 1] * m[:, 1, 0])[:, None, None]
    return inverse
