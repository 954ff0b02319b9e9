"""The mesh that covers a portrait: 468 face vertices and, around them, a grid that fades to the still background.

Points are float64 (N, 3) in pixel-centre coordinates (landmarks in px minus one half): x right, y down, z away from
the viewer.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from scipy.spatial import Delaunay

from chdtf.faces import FACE_OVAL, INNER_LIPS, LEFT_EYE, RIGHT_EYE, RIGID, tessellation
from chdtf.morphable.similarity import fit_similarity
from chdtf.schema import NUM_VERTICES
from chdtf.warp.layers import Box
from chdtf.warp.piecewise import coarse_map, lay_over

_STILL_PX = 1 / 128  # surroundings that move less stay the source's, bit by bit
_CLEAR = 0.2  # background further than this from the head is left alone when nothing moves as far, in face radii
_REVEAL = 0.05  # how far inwards the rim of a face takes its texture from when it turns to the front, in face radii
_REACH = 1.15  # how far beyond the face oval the head takes its surroundings along, in face radii
_ROOM = 0.25  # where the frame cuts closer than this to the face, points outside the frame move too
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

    def of_pixel_centres(self) -> "Motion":
        """The same motion of points given by pixel centres, (x, y) half a pixel less than in px."""
        half = np.array([0.5, 0.5, 0.0])
        return Motion(self.linear, self.offset + self.linear @ half - half)

    def plane(self, z: float) -> np.ndarray:
        """What happens in the image to points of the plane at depth z: affine (2, 3)."""
        return np.column_stack([self.linear[:2, :2], self.linear[:2, 2] * z + self.offset[:2]])


def head_motion(source: np.ndarray, target: np.ndarray) -> Motion:
    """Motion of the head between two sets of vertices (468, 3), from those that expressions move little."""
    rigid = list(RIGID)
    fit = fit_similarity(source[rigid], target[None, rigid], np.ones(len(rigid)))
    return Motion(fit.scale[0] * fit.rotation[0], fit.translation[0])


@functools.lru_cache(maxsize=16)
def halves(contour: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Upper and lower half of a contour of `chdtf.faces`, both from its first corner to the other, paired by place.

    The arrays are shared by all who ask, and cannot be written to.
    """
    half = len(contour) // 2
    upper = contour[: half + 1]
    lower = (contour[0], *reversed(contour[half + 1 :]), contour[half])
    numbers = np.array(upper), np.array(lower)
    for half_of in numbers:
        half_of.flags.writeable = False
    return numbers


def untangle(face: np.ndarray, contours: Sequence[tuple[int, ...]]) -> None:
    """Lips and lids (contours of openings) that have passed through each other meet half way, (468, 3) in place."""
    down = face[152, :2] - face[10, :2]
    for contour in contours:
        upper, lower = halves(contour)
        crossed = (face[lower, :2] - face[upper, :2]) @ down < 0
        face[upper[crossed]] = face[lower[crossed]] = (face[upper[crossed]] + face[lower[crossed]]) / 2


def opening_triangles(contour: tuple[int, ...]) -> np.ndarray:
    """Triangles (F, 3) that fill the opening inside a contour, between upper and lower half."""
    upper, lower = halves(contour)
    quads = zip(upper[:-1], upper[1:], lower[:-1], lower[1:], strict=True)
    faces = [face for a, b, c, d in quads for face in ((a, b, c), (b, d, c)) if len(set(face)) == 3]
    return np.array(faces, np.int32)


def smoothstep(x: np.ndarray | float) -> np.ndarray:
    """0 below 0, 1 above 1, 3x^2 - 2x^3 between."""
    x = np.minimum(np.maximum(x, 0.0), 1.0)
    smooth: np.ndarray = np.asarray(x * x * (3 - 2 * x))
    return smooth


class HeadMesh:
    """Triangles over the part of an image that a moving head can change, and the inverse map of a moved mesh."""

    def __init__(self, face: np.ndarray, height: int, width: int, background: np.ndarray | None = None) -> None:
        """`face`: vertices (468, 3) in an image of height x width px.

        `background`: bool (height, width), what of it need not be drawn while the head keeps away from it.
        """
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
        self.outside, self._sheet = _triangulate(oval[:, :2], grid, inside)
        self._openings = np.vstack([opening_triangles(c) for c in (RIGHT_EYE, LEFT_EYE, INNER_LIPS)])
        self.skin = tessellation()
        self._facing = self.orientation(face)
        self._normals = _normals(face, self.skin)
        self._reveal_px = _REVEAL * radius
        self._middle = oval[:, :2].mean(0)
        first = np.maximum(np.ceil(low), 0).astype(int)
        last = np.minimum(np.floor(high), frame).astype(int)
        self.box = Box(int(first[0]), int(first[1]), int(last[0]) + 1, int(last[1]) + 1)
        self._clear_px = _CLEAR * radius
        self._far = _far_from_head(background, self.source, self.outside, self._clear_px)

    def place(self, target: np.ndarray, motion: Motion) -> np.ndarray:
        """All mesh points (N, 3) when the face vertices go to `target` (468, 3) and the head moves by `motion`."""
        face, around = self.source[:NUM_VERTICES], self.source[NUM_VERTICES:]
        oval = list(FACE_OVAL)
        loose = self._near @ (target[oval] - motion(face[oval]))
        moved = around + self._rigid_share * (motion(around) - around) + self._loose_share * loose
        return np.vstack([target, moved])

    def reveal(self, source: np.ndarray, motion: Motion) -> None:
        """Move texture borders (in mesh points `source`) off the rim of the face where a turn brings it to the front.

        There the image shows next to nothing of the skin, and background beside it.
        """
        turn = motion.linear / np.linalg.norm(motion.linear[0])
        seen, shown = -self._normals[:, 2], -(self._normals @ turn[2])
        amount = self._reveal_px * smoothstep((shown - seen) / 0.2) * smoothstep((0.5 - seen) / 0.5)
        inwards = self._middle - source[:NUM_VERTICES, :2]
        inwards /= np.maximum(np.linalg.norm(inwards, axis=1, keepdims=True), 1e-6)
        source[:NUM_VERTICES, :2] += amount[:, None] * inwards

    def inverse_map(self, source: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, Box]:
        """Where pixels come from, for mesh points that move source -> target: x + iy, complex64 (h, w) of a box.

        The box holds all that moves; beyond it, and where the mesh does not reach, pixels stay where they are.
        """
        around, face = self.layers(source, target)
        reached = target[np.vstack([around, face]).ravel(), :2]
        box = Box.around(reached, 0, self.box.y1, self.box.x1).within(self.box)
        maps = coarse_map(source, target, around, box)
        lay_over(maps, source, target, face, box)
        return maps, box

    def layers(self, source: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Triangles (F, 3) from bottom to top: a sheet beneath the face and surroundings that move; then the face.

        Openings lie under the skin, far skin under near skin, and skin that has turned over lowest.
        """
        away = np.abs(target[:, :2] - source[:, :2]).max(1)
        drawn = (away > _STILL_PX)[self.outside].any(1)
        if away[NUM_VERTICES:].max() < self._clear_px:
            drawn &= ~self._far
        depth = target[self.skin, 2].sum(1)
        turned = self.orientation(target) != self._facing
        skin = self.skin[np.lexsort((-depth, ~turned))]
        return np.vstack([self._sheet, self.outside[drawn]]), np.vstack([self._openings, skin])

    def orientation(self, points: np.ndarray) -> np.ndarray:
        """Sign of the area of every skin triangle in the image: (F,)."""
        p, q, r = (points[self.skin[:, k], :2] for k in range(3))
        area = (q[:, 0] - p[:, 0]) * (r[:, 1] - p[:, 1]) - (q[:, 1] - p[:, 1]) * (r[:, 0] - p[:, 0])
        sign: np.ndarray = np.sign(area)
        return sign


def _normals(face: np.ndarray, skin: np.ndarray) -> np.ndarray:
    """Unit normals of the vertices (468, 3), out of the head."""
    p, q, r = (face[skin[:, k]] for k in range(3))
    normal = np.cross(q - p, r - p)
    oval = face[list(FACE_OVAL)]
    behind = oval.mean(0) + np.array([0, 0, 0.5 * np.ptp(oval[:, 1])])
    normal *= np.sign((((p + q + r) / 3 - behind) * normal).sum(1, keepdims=True))
    total = np.zeros_like(face)
    for corner in skin.T:
        np.add.at(total, corner, normal)
    unit: np.ndarray = total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-9)
    return unit


def _surroundings(oval: np.ndarray, low: np.ndarray, high: np.ndarray, spacing: float) -> tuple[np.ndarray, np.ndarray]:
    """Grid points (G, 2) between the oval and the box, and the oval as a polygon."""
    count = np.maximum(np.round((high - low) / spacing).astype(int), 4)
    xs, ys = (np.linspace(low[k], high[k], count[k] + 1) for k in range(2))
    grid = np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2)
    polygon = oval.astype(np.float32)
    far = [cv2.pointPolygonTest(polygon, (float(x), float(y)), True) < -0.5 * spacing for x, y in grid]
    return grid[np.array(far)], polygon


def _far_from_head(background: np.ndarray | None, points: np.ndarray, faces: np.ndarray, clear_px: float) -> np.ndarray:
    """Which triangles (F, 3) show background and have nothing else within `clear_px` of them: bool (F,)."""
    if background is None:
        return np.zeros(len(faces), bool)
    head_px = cv2.distanceTransform(background.astype(np.uint8), cv2.DIST_L2, 3)
    corners = points[faces][:, :, :2]  # (F, 3, 2)
    places = np.concatenate([corners, corners.mean(1, keepdims=True), (corners + np.roll(corners, 1, 1)) / 2], 1)
    high, wide = np.array(background.shape) - 1
    x, y = np.clip(np.rint(places), 0, (wide, high)).astype(int).transpose(2, 0, 1)
    apart: np.ndarray = (head_px[y, x] > 1.5 * clear_px).all(1)
    return apart


def _triangulate(oval: np.ndarray, grid: np.ndarray, polygon: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Triangles (F, 3) between oval and grid, and within the oval, in the numbering of the whole mesh."""
    points = np.vstack([oval, grid])
    number = np.concatenate([np.array(FACE_OVAL), NUM_VERTICES + np.arange(len(grid))])
    simplices: np.ndarray = Delaunay(points).simplices
    centres = points[simplices].mean(1)
    outside = np.array(
        [
            bool((face >= len(oval)).any()) or cv2.pointPolygonTest(polygon, (float(x), float(y)), False) < 0
            for face, (x, y) in zip(simplices, centres, strict=True)
        ]
    )
    faces: np.ndarray = number[simplices].astype(np.int32)
    return faces[outside], faces[~outside]
