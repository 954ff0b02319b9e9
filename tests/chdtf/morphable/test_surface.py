import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chdtf.morphable.surface import Surface, closest_on_triangles, triangle_normals, vertex_normals


def grid(size: int, hole: bool = False) -> Surface:
    """A flat square of size x size vertices at z = 0, normals along +z; with a hole of four cells in its middle."""
    numbers = np.arange(size * size).reshape(size, size)
    x, y = np.meshgrid(np.arange(size), np.arange(size))
    vertices = np.stack([x.ravel(), y.ravel(), np.zeros(size * size)], 1)
    middle = size // 2
    triangles = []
    for row in range(size - 1):
        for column in range(size - 1):
            if hole and row in (middle - 1, middle) and column in (middle - 1, middle):
                continue
            a, b = numbers[row, column], numbers[row, column + 1]
            c, d = numbers[row + 1, column + 1], numbers[row + 1, column]
            triangles += [(a, b, c), (a, c, d)]
    return Surface(vertices, np.array(triangles))


@given(st.integers(0, 10_000))
def test_the_closest_point_is_not_further_than_any_other(seed: int):
    rng = np.random.default_rng(seed)
    point, a, b, c = rng.normal(size=(4, 3))
    shares = closest_on_triangles(point, a[None], b[None], c[None])[0]
    assert shares.min() >= -1e-12
    assert shares.sum() == pytest.approx(1)
    corners = np.stack([a, b, c])
    others = rng.dirichlet([0.7, 0.7, 0.7], 300) @ corners
    distance = np.linalg.norm(shares @ corners - point)
    assert distance <= np.linalg.norm(others - point, axis=1).min() + 1e-9


def test_closest_points_of_a_plane_are_straight_below():
    surface = grid(6)
    points = np.random.default_rng(1).uniform(0, 5, (40, 3))
    found = surface.closest(points, np.tile([0.0, 0.0, 1.0], (40, 1)))
    np.testing.assert_allclose(found.points, points * (1, 1, 0), atol=1e-12)
    np.testing.assert_allclose(found.distance, points[:, 2], atol=1e-12)
    again = np.einsum("ncx,nc->nx", surface.vertices[found.corners], found.shares)
    np.testing.assert_allclose(again, found.points, atol=1e-12)


def test_a_surface_that_faces_away_is_not_closest():
    found = grid(4).closest(np.array([[1.2, 1.3, 0.1]]), np.array([[0.0, 0.0, -1.0]]))
    assert np.isinf(found.distance[0])


def test_normals_of_a_plane_and_of_a_turned_one():
    surface = grid(4)
    np.testing.assert_allclose(surface.normals, np.tile([0, 0, 1], (len(surface.triangles), 1)))
    turned = surface.vertices[:, [2, 0, 1]]
    np.testing.assert_allclose(vertex_normals(turned, surface.triangles), np.tile([1, 0, 0], (16, 1)))
    degenerate = triangle_normals(np.zeros((3, 3)), np.array([[0, 1, 2]]))
    np.testing.assert_array_equal(degenerate, np.zeros((1, 3)))


def test_borders_are_found_in_order():
    rim, opening = grid(7, hole=True).border_loops()
    assert (len(rim), len(opening)) == (24, 8)
    steps = np.linalg.norm(np.diff(grid(7).vertices[[*opening, opening[0]]], axis=0), axis=1)
    np.testing.assert_allclose(steps, 1)


def test_lines_around_an_opening_are_counted_by_edges():
    surface = grid(9, hole=True)
    opening = surface.border_loops()[1]
    steps = surface.steps_from(opening, 1)
    line = surface.loop([vertex for vertex, count in steps.items() if count == 0])
    assert sorted(line) == sorted(opening)
    near = {vertex for corner in opening for vertex in surface.neighbours[corner]} - set(opening)
    assert {vertex for vertex, count in steps.items() if count == 1} == near
    with pytest.raises(ValueError, match="do not form one closed line"):
        surface.loop([0, 1, 2])


def test_the_shortest_path_goes_along_edges():
    surface = grid(5)
    path = surface.shortest_path(0, 24)
    assert path == [0, 6, 12, 18, 24]  # along the diagonals
    assert surface.third(0, 6) in (1, 5)
    with pytest.raises(ValueError, match="share no edge"):
        surface.third(0, 24)
