"""Registration: where MediaPipe's vertices lie on another face mesh.

Contours that both meshes have (lids, lips) are given as paths of mesh vertices; MediaPipe's points on them go to the
same share of the arc length. All other points follow by a smooth warp of MediaPipe's mean face (radial basis r in
three dimensions, the biharmonic spline, with an affine part) that is drawn to the surface step by step: closest points
whose normals agree become soft targets, as in Amberg, Romdhani and Vetter, "Optimal step nonrigid ICP algorithms for
surface registration", CVPR 2007. Points whose place stays off the surface have no counterpart and are left out.

All faces are in model units and axes (`chdtf.morphable.model`).
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.interpolate import RBFInterpolator
from scipy.spatial import cKDTree

from chdtf.morphable.model import LandmarkMap
from chdtf.morphable.regions import mirror_map
from chdtf.morphable.similarity import fit_similarity
from chdtf.morphable.surface import Surface, vertex_normals

_MIRROR = np.array([-1.0, 1.0, 1.0])
_NOISE, _ROUNDS = 0.02, 30  # model units; pose and shape trade places slowly


@dataclasses.dataclass(frozen=True)
class SurfacePoint:
    """A point of a triangle mesh: its triangle's vertices and barycentric shares, which sum to 1."""

    corners: tuple[int, int, int]
    shares: tuple[float, float, float]

    def at(self, vertices: np.ndarray) -> np.ndarray:
        """Its place on a mesh with vertices (V, 3): (3,)."""
        place: np.ndarray = np.asarray(self.shares) @ vertices[list(self.corners)]
        return place


@dataclasses.dataclass(frozen=True)
class RegisterSettings:
    """How the warp is drawn to the surface.

    `stiffness`: smoothing of the soft targets, round by round (model units; anchors have none). Closest points count
    within `reach`, if the normals differ by less than 60 degrees, and not on the mesh's rim. Points that end further
    than `drop` from the surface are left out.
    """

    stiffness: tuple[float, ...] = (3.0, 1.0, 0.5, 0.25, 0.12, 0.06)
    reach: float = 0.2
    drop: float = 0.06


def along_path(path: Sequence[int], vertices: np.ndarray, surface: Surface, shares: np.ndarray) -> list[SurfacePoint]:
    """Points at given shares (N,) in [0, 1] of the length of a path of mesh vertices, on the path's edges.

    Raises `ValueError` if two neighbours in the path are no edge of the mesh.
    """
    places = vertices[list(path)]
    length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(places, axis=0), axis=1))])
    points = []
    for share in np.clip(shares, 0.0, 1.0):
        step = min(int(np.searchsorted(length, share * length[-1], side="right")) - 1, len(path) - 2)
        part = float((share * length[-1] - length[step]) / (length[step + 1] - length[step]))
        start, end = int(path[step]), int(path[step + 1])
        points.append(SurfacePoint((start, end, surface.third(start, end)), (1.0 - part, part, 0.0)))
    return points


def contour_anchors(
    contour: Sequence[int], path: Sequence[int], source: np.ndarray, vertices: np.ndarray, surface: Surface
) -> dict[int, SurfacePoint]:
    """MediaPipe's vertices `contour`, an open line of its mean face `source`, onto a path of the mesh, ends to ends."""
    steps = np.linalg.norm(np.diff(source[list(contour)], axis=0), axis=1)
    shares = np.concatenate([[0.0], np.cumsum(steps)]) / steps.sum()
    return dict(zip(contour, along_path(path, vertices, surface, shares), strict=True))


def warp(points: np.ndarray, source: np.ndarray, target: np.ndarray, stiffness: np.ndarray) -> np.ndarray:
    """Move points (N, 3) by the biharmonic spline that takes `source` (M, 3) to `target`, smoothed by (M,)."""
    spline = RBFInterpolator(source, target, kernel="linear", degree=1, smoothing=stiffness)
    moved: np.ndarray = spline(points)
    return moved


def register(
    source: np.ndarray,
    source_triangles: np.ndarray,
    surface: Surface,
    anchors: Mapping[int, SurfacePoint],
    leave_out: Sequence[int] = (),
    settings: RegisterSettings | None = None,
) -> LandmarkMap:
    """Map MediaPipe's vertices onto a face mesh that is mirror symmetric in x.

    Args:
        source: (468, 3), MediaPipe's mean face, mirror symmetric.
        source_triangles: (F, 3), wound as in `FaceModel.triangles`.
        surface: the target mesh, wound likewise.
        anchors: places that are known, of both sides; they are kept exactly.
        leave_out: landmarks that the mesh has no counterpart of.
        settings: of the warp.

    Returns:
        The map of the anchors and of all other points that end on the surface.

    """
    settings = settings or RegisterSettings()
    known = np.array(sorted(anchors))
    places = np.stack([anchors[int(number)].at(surface.vertices) for number in known])
    whole = np.ones(len(known))
    first = fit_similarity(source[known], places[None], whole).apply(source)[0]
    partner = mirror_map(source)
    free = np.setdiff1d(np.arange(len(source)), known)
    placed = _symmetric(warp(first, first[known], places, 1e-3 * whole), partner)
    for stiffness in settings.stiffness:
        normals = vertex_normals(placed, source_triangles)
        closest = surface.closest(placed[free], normals[free])
        used = (closest.distance < settings.reach) & ~closest.on_border
        moving = np.concatenate([known, free[used]])
        target = np.concatenate([places, closest.points[used]])
        smoothing = np.concatenate([1e-6 * whole, np.full(int(used.sum()), stiffness)])
        placed = _symmetric(warp(first, first[moving], target, smoothing), partner)
    closest = surface.closest(placed[free], vertex_normals(placed, source_triangles)[free])
    found = dict(anchors)
    for row, number in enumerate(free):
        if closest.distance[row] <= settings.drop and number not in leave_out:
            found[int(number)] = SurfacePoint(_triple(closest.corners[row]), tuple(closest.shares[row]))
    return as_map(found)


def closest_face(
    source: np.ndarray, landmark_map: LandmarkMap, mean: np.ndarray, bases: np.ndarray, deviations: np.ndarray
) -> np.ndarray:
    """The face of a linear model that comes closest to MediaPipe's mean at the mapped landmarks, (V, 3) model units.

    Similarity and coefficients by turns; the coefficients' posterior mean, with noise of `_NOISE` a coordinate.
    `mean` is (V, 3), `bases` (N, V, 3) with prior standard deviations (N,).
    """
    target = source[landmark_map.landmarks]
    directions = landmark_map.at(bases).reshape(len(bases), -1)
    middle = landmark_map.at(mean)
    normal = directions @ directions.T / _NOISE**2 + np.diag(1 / deviations**2)
    coefficients = np.zeros(len(bases))
    for _ in range(_ROUNDS):
        face = middle + (coefficients @ directions).reshape(-1, 3)
        back = fit_similarity(face, target[None], np.ones(len(target))).undo(target[None])[0]
        coefficients = np.linalg.solve(normal, directions @ (back - middle).ravel() / _NOISE**2)
    found: np.ndarray = mean + np.tensordot(coefficients, bases, axes=1)
    return found


def symmetric_face(face: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """A face's mean with its mirror image, (V, 3); `mean` is symmetric and tells which vertices mirror each other."""
    both: np.ndarray = (face + face[_across(mean)] * _MIRROR) / 2
    return both


def as_map(points: Mapping[int, SurfacePoint]) -> LandmarkMap:
    """Surface points by landmark as a `LandmarkMap`."""
    numbers = sorted(points)
    return LandmarkMap(
        landmarks=np.array(numbers),
        corners=np.array([points[number].corners for number in numbers]),
        shares=np.array([points[number].shares for number in numbers]),
    )


def mirror_points(
    points: Mapping[int, SurfacePoint], partner: np.ndarray, vertices: np.ndarray
) -> dict[int, SurfacePoint]:
    """The same points and their mirror images: landmarks by `partner` (468,), mesh vertices by their places."""
    across = _across(vertices)
    images = {
        int(partner[number]): SurfacePoint(_triple(across[list(point.corners)]), point.shares)
        for number, point in points.items()
    }
    return images | dict(points)


def _across(vertices: np.ndarray) -> np.ndarray:
    """The mirror image of each vertex, (V,)."""
    nearest: np.ndarray = cKDTree(vertices).query(vertices * _MIRROR)[1]
    return nearest


def _symmetric(points: np.ndarray, partner: np.ndarray) -> np.ndarray:
    both: np.ndarray = (points + points[partner] * _MIRROR) / 2
    return both


def _triple(numbers: np.ndarray) -> tuple[int, int, int]:
    first, second, third = (int(number) for number in numbers)
    return first, second, third
