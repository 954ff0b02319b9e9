"""A triangle mesh as a surface: closest points with agreeing normals, and loops of vertices around its openings."""

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np
from scipy.spatial import cKDTree

_NEAREST = 24  # vertices whose triangles are looked at
_ON_EDGE = 1e-9  # a barycentric share that counts as none


@dataclasses.dataclass(frozen=True, eq=False)
class Closest:
    """Closest points of N queries on a surface; the distance is infinite where no triangle's normal agrees."""

    points: np.ndarray  # (N, 3)
    corners: np.ndarray  # (N, 3) int
    shares: np.ndarray  # (N, 3) barycentric
    distance: np.ndarray  # (N,)
    on_border: np.ndarray  # (N,) bool, the point lies on the rim of the mesh or of an opening


def triangle_normals(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Unit normals (F, 3) of triangles (F, 3) over vertices (V, 3); zero for degenerate ones."""
    a, b, c = (vertices[triangles[:, i]] for i in range(3))
    return _unit(np.cross(b - a, c - a))


def vertex_normals(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Unit normals (V, 3) of vertices: mean of their triangles' normals, weighted by area."""
    a, b, c = (vertices[triangles[:, i]] for i in range(3))
    normals = np.zeros((len(vertices), 3))
    for corner in range(3):
        np.add.at(normals, triangles[:, corner], np.cross(b - a, c - a))
    return _unit(normals)


def _unit(vectors: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    unit: np.ndarray = vectors / np.where(length > 0, length, 1.0)
    return unit


def closest_on_triangles(point: np.ndarray, a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Barycentric shares (N, 3) of the point closest to `point` (3,) on each of N triangles, corners (N, 3) each.

    Ericson, Real-Time Collision Detection (2005), 5.1.5, by cases: inside, else the best of the three edges.
    """
    v0, v1, v2 = b - a, c - a, point - a
    d00, d01, d11 = (v0 * v0).sum(1), (v0 * v1).sum(1), (v1 * v1).sum(1)
    d20, d21 = (v2 * v0).sum(1), (v2 * v1).sum(1)
    area = d00 * d11 - d01 * d01
    safe = np.where(area > 0, area, 1.0)
    v, w = (d11 * d20 - d01 * d21) / safe, (d00 * d21 - d01 * d20) / safe
    inside = (area > 0) & (v >= 0) & (w >= 0) & (v + w <= 1)
    options = [np.stack([1 - v - w, v, w], 1)]
    distances = [np.where(inside, 0.0, np.inf)]
    corners = (a, b, c)
    for i, j in ((0, 1), (1, 2), (2, 0)):
        edge = corners[j] - corners[i]
        length = (edge * edge).sum(1)
        part = np.clip(((point - corners[i]) * edge).sum(1) / np.where(length > 0, length, 1.0), 0.0, 1.0)
        shares = np.zeros((len(a), 3))
        shares[:, i], shares[:, j] = 1 - part, part
        options.append(shares)
        distances.append(np.linalg.norm(corners[i] + part[:, None] * edge - point, axis=1))
    best = np.argmin(distances, axis=0)
    closest: np.ndarray = np.stack(options)[best, np.arange(len(a))]
    return closest


class Surface:
    """A mesh of vertices (V, 3) and triangles (F, 3), wound so that normals point outwards."""

    def __init__(self, vertices: np.ndarray, triangles: np.ndarray) -> None:
        self.vertices = np.asarray(vertices, np.float64)
        self.triangles = np.asarray(triangles, np.int64)
        self.normals = triangle_normals(self.vertices, self.triangles)

    @functools.cached_property
    def _tree(self) -> cKDTree:
        return cKDTree(self.vertices)

    @functools.cached_property
    def _at_vertex(self) -> list[list[int]]:
        """Triangles of each vertex."""
        found: list[list[int]] = [[] for _ in self.vertices]
        for number, corners in enumerate(self.triangles.tolist()):
            for corner in corners:
                found[corner].append(number)
        return found

    @functools.cached_property
    def neighbours(self) -> list[set[int]]:
        """Vertices that share an edge with each vertex."""
        found: list[set[int]] = [set() for _ in self.vertices]
        for a, b, c in self.triangles.tolist():
            found[a] |= {b, c}
            found[b] |= {a, c}
            found[c] |= {a, b}
        return found

    def third(self, start: int, end: int) -> int:
        """The third corner of a triangle that has this edge. Raises `ValueError` if none has."""
        for number in self._at_vertex[start]:
            corners = self.triangles[number].tolist()
            if end in corners:
                return int(next(corner for corner in corners if corner not in (start, end)))
        raise ValueError(f"vertices {start} and {end} share no edge")

    def closest(self, points: np.ndarray, normals: np.ndarray, agreement: float = 0.5) -> Closest:
        """Closest points to (N, 3) on triangles whose normal has that cosine, or more, with the query's."""
        count = len(points)
        shares, corners = np.zeros((count, 3)), np.zeros((count, 3), np.int64)
        distance = np.full(count, np.inf)
        for row, near in enumerate(self._tree.query(points, k=min(_NEAREST, len(self.vertices)))[1]):
            numbers = np.array(sorted({number for vertex in near for number in self._at_vertex[vertex]}), np.int64)
            numbers = numbers[self.normals[numbers] @ normals[row] >= agreement]
            if not len(numbers):
                continue
            a, b, c = (self.vertices[self.triangles[numbers, i]] for i in range(3))
            options = closest_on_triangles(points[row], a, b, c)
            places = options[:, :1] * a + options[:, 1:2] * b + options[:, 2:] * c
            far = np.linalg.norm(places - points[row], axis=1)
            best = int(far.argmin())
            corners[row], shares[row], distance[row] = self.triangles[numbers[best]], options[best], far[best]
        places = np.einsum("ncx,nc->nx", self.vertices[corners], shares)
        return Closest(places, corners, shares, distance, (self._is_border[corners] | (shares < _ON_EDGE)).all(1))

    @functools.cached_property
    def _is_border(self) -> np.ndarray:
        """Whether each vertex lies on an edge of one triangle only: (V,) bool."""
        found = np.zeros(len(self.vertices), bool)
        found[[vertex for loop in self.border_loops() for vertex in loop]] = True
        return found

    def border_loops(self) -> list[list[int]]:
        """Closed lines of vertices around the mesh's openings and its rim, longest first; each in order."""
        edges = np.sort(
            np.concatenate([self.triangles[:, [0, 1]], self.triangles[:, [1, 2]], self.triangles[:, [2, 0]]])
        )
        pairs, counts = np.unique(edges, axis=0, return_counts=True)
        return sorted(_cycles(pairs[counts == 1]), key=lambda loop: (-len(loop), loop))

    def steps_from(self, start: Sequence[int], limit: int) -> dict[int, int]:
        """Steps along edges to the nearest of `start`, for all vertices within `limit` steps."""
        steps = dict.fromkeys(start, 0)
        front = list(start)
        for step in range(1, limit + 1):
            front = sorted({near for vertex in front for near in self.neighbours[vertex] if near not in steps})
            steps.update(dict.fromkeys(front, step))
        return steps

    def loop(self, vertices: Sequence[int]) -> list[int]:
        """Vertices that form one closed line of edges, in order. Raises `ValueError` if they do not."""
        wanted = set(vertices)
        pairs = [(a, b) for a in wanted for b in self.neighbours[a] if b in wanted and a < b]
        loops = _cycles(np.array(sorted(pairs)).reshape(-1, 2))
        if len(loops) != 1 or len(loops[0]) != len(wanted) or len(pairs) != len(wanted):
            raise ValueError(f"{len(wanted)} vertices do not form one closed line")
        return loops[0]

    def shortest_path(self, start: int, end: int) -> list[int]:
        """Vertices on the shortest way along edges, both ends included."""
        import heapq

        best, before = {start: 0.0}, {start: start}
        heap = [(0.0, start)]
        while heap:
            length, vertex = heapq.heappop(heap)
            if vertex == end:
                break
            for near in sorted(self.neighbours[vertex]):
                longer = length + float(np.linalg.norm(self.vertices[near] - self.vertices[vertex]))
                if longer < best.get(near, np.inf):
                    best[near], before[near] = longer, vertex
                    heapq.heappush(heap, (longer, near))
        path = [end]
        while path[-1] != start:
            path.append(before[path[-1]])
        return path[::-1]


def _cycles(pairs: np.ndarray) -> list[list[int]]:
    """Edges (N, 2) of which every vertex has two, as closed lines of vertices."""
    near: dict[int, list[int]] = {}
    for a, b in pairs.tolist():
        near.setdefault(a, []).append(b)
        near.setdefault(b, []).append(a)
    left = set(near)
    loops = []
    for start in sorted(near):
        if start not in left:
            continue
        loop = [start]
        left.discard(start)
        while ahead := [vertex for vertex in near[loop[-1]] if vertex in left]:
            loop.append(ahead[0])
            left.discard(ahead[0])
        loops.append(loop)
    return loops
