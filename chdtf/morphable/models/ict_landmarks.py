"""The landmark map of the face model `ict`, computed: lids and lips from the mesh's own openings, the rest registered.

The mesh has three openings (eyes, mouth), and its vertices lie in closed lines around them. Counting lines outwards
gives the contours that MediaPipe tracks; the counts below were read off the blendshapes: which lines touch when the
eyes close and when the lips close, and which part first when they open.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from chdtf.faces import INNER_LIPS, OUTER_LIPS, RIGHT_EYE
from chdtf.files import atomic_path
from chdtf.morphable.model import FaceModel, LandmarkMap, load_model
from chdtf.morphable.models.ict import MAP_FILE
from chdtf.morphable.regions import mirror_map
from chdtf.morphable.register import (
    SurfacePoint,
    closest_face,
    contour_anchors,
    mirror_points,
    register,
    symmetric_face,
)
from chdtf.morphable.surface import Surface

_LID_LINE = 2  # the lids' edges, which meet in a blink
_OUTER_CORNER, _INNER_CORNER = 3, 6  # lines that reach the corners of the eye; the inner one lies past the caruncle
_CARUNCLE = 0.075  # its size, model units
_UPPER_INNER, _LOWER_INNER = 8, 7  # where the lips touch
_UPPER_OUTER, _LOWER_OUTER = 15, 13  # the border of the red of the lips
_NOSE_TIP = 1
_MIDLINE = 1e-3  # model units


def compute_map(model: FaceModel) -> LandmarkMap:
    """MediaPipe's vertices on ict's faces, from the model's shapes alone; what `ict_landmarks.npz` holds.

    First they are placed on ict's mean face, then again on the face of the model that comes closest to MediaPipe's
    mean: what tells the two means apart, a longer nose or an open mouth, would else shift landmarks along the skin.
    """
    mean = model.mean.astype(np.float64)
    bases = np.concatenate([model.identity_basis, model.expression_basis]).astype(np.float64)
    deviations = np.concatenate([np.ones(model.num_identity), np.asarray(model.expression_deviation)])
    mediapipe = load_model("mp468")
    source, source_triangles = mediapipe.mean.astype(np.float64), mediapipe.triangles

    surface = Surface(mean, model.triangles)
    right_eye, mouth = _openings(surface)
    anchors = _eye_anchors(surface, right_eye, source) | _mouth_anchors(surface, mouth, source)
    anchors = mirror_points(anchors, mirror_map(source), surface.vertices)
    tip = {_NOSE_TIP: _vertex(surface, _foremost(surface))}
    first = register(source, source_triangles, surface, anchors | tip)
    nearer = symmetric_face(closest_face(source, first, mean, bases, deviations), mean)
    return register(source, source_triangles, Surface(nearer, model.triangles), anchors)


def save_map(landmark_map: LandmarkMap, path: Path = MAP_FILE) -> None:
    """Write a landmark map, whole or not at all; the same map gives the same bytes."""
    with atomic_path(path) as temporary:
        np.savez_compressed(temporary, **dataclasses.asdict(landmark_map))


def _openings(surface: Surface) -> tuple[list[int], list[int]]:
    """The borders of the right eye's opening and of the mouth."""
    loops = surface.border_loops()
    centres = [surface.vertices[loop].mean(0) for loop in loops]
    inner = range(1, len(loops))  # the longest is the rim of the mesh
    eye = min(inner, key=lambda number: centres[number][0])
    mouth = max(inner, key=lambda number: centres[number][1])
    return loops[eye], loops[mouth]


def _foremost(surface: Surface) -> int:
    return int(surface.vertices[:, 2].argmin())


def _vertex(surface: Surface, vertex: int) -> SurfacePoint:
    near = min(surface.neighbours[vertex])
    return SurfacePoint((vertex, near, surface.third(vertex, near)), (1.0, 0.0, 0.0))


def _halves(line: Sequence[int], start: int, end: int, vertices: np.ndarray) -> tuple[list[int], list[int]]:
    """A closed line cut at two of its vertices: upper and lower way from `start` to `end`."""
    first = list(line).index(start)
    turned = [*line[first:], *line[:first]]
    cut = turned.index(end)
    one, other = turned[: cut + 1], [turned[0], *turned[: cut - 1 : -1]]
    upper, lower = sorted((one, other), key=lambda path: vertices[path, 1].mean())
    return upper, lower


def _eye_anchors(surface: Surface, opening: list[int], source: np.ndarray) -> dict[int, SurfacePoint]:
    """The right eye's lids, from the outer to the inner corner.

    Around the caruncle the lids' edges leave the line: there they are the shortest ways to the corner.
    """
    vertices = surface.vertices
    steps = surface.steps_from(opening, _INNER_CORNER)
    line = surface.loop([vertex for vertex, count in steps.items() if count == _LID_LINE])
    ends = [min(line, key=lambda vertex: sign * vertices[vertex, 0]) for sign in (1, -1)]
    corners = []
    for sign, reach in ((1, _OUTER_CORNER), (-1, _INNER_CORNER)):
        corners.append(
            min((v for v, count in steps.items() if count == reach), key=lambda vertex: sign * vertices[vertex, 0])
        )
    outer, inner = corners
    half = len(RIGHT_EYE) // 2
    lids = (RIGHT_EYE[: half + 1], (RIGHT_EYE[0], *RIGHT_EYE[: half - 1 : -1]))
    anchors: dict[int, SurfacePoint] = {}
    for contour, path in zip(lids, _halves(line, ends[0], ends[1], vertices), strict=True):
        edge = [v for v in path if np.linalg.norm(vertices[v] - vertices[inner]) > _CARUNCLE]
        way = _connected(surface, [outer, *edge, inner])
        anchors |= contour_anchors(contour, way, source, vertices, surface)
    return anchors


def _mouth_anchors(surface: Surface, opening: list[int], source: np.ndarray) -> dict[int, SurfacePoint]:
    """The right half of the lips' contours, from the corner to the middle."""
    steps = surface.steps_from(opening, _UPPER_OUTER)
    lines = [
        _line_from_middle(surface, [v for v, count in steps.items() if count == n]) for n in range(_UPPER_OUTER + 1)
    ]
    half = len(opening) // 2
    corner = int(surface.vertices[lines[_LOWER_INNER][: half + 1], 0].argmin())
    upper, lower = range(corner, -1, -1), range(corner, half + 1)
    anchors: dict[int, SurfacePoint] = {}
    for contour, at_corner, above, below in (
        (INNER_LIPS, _UPPER_INNER, _UPPER_INNER, _LOWER_INNER),
        (OUTER_LIPS, _LOWER_OUTER, _UPPER_OUTER, _LOWER_OUTER),
    ):
        quarter = len(contour) // 4
        for part, columns, line in (
            (contour[: quarter + 1], upper, above),
            ((contour[0], *contour[: 3 * quarter - 1 : -1]), lower, below),
        ):
            numbers = np.linspace(at_corner, line, len(columns)).round().astype(int)
            stops = [lines[number][column] for number, column in zip(numbers, columns, strict=True)]
            anchors |= contour_anchors(part, _connected(surface, stops), source, surface.vertices, surface)
    return anchors


def _line_from_middle(surface: Surface, vertices: list[int]) -> list[int]:
    """A closed line around the mouth, from the middle of the upper lip over the right corner."""
    line = surface.loop(vertices)
    middle = [vertex for vertex in line if abs(surface.vertices[vertex, 0]) < _MIDLINE]
    first = line.index(min(middle, key=lambda vertex: surface.vertices[vertex, 1]))
    turned = [*line[first:], *line[:first]]
    return turned if surface.vertices[turned[1], 0] < 0 else [turned[0], *turned[:0:-1]]


def _connected(surface: Surface, stops: Sequence[int]) -> list[int]:
    """A path of edges through all stops."""
    path = [stops[0]]
    for stop in stops[1:]:
        path += surface.shortest_path(path[-1], stop)[1:]
    return path
