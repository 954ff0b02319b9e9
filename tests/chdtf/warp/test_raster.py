"""Every pixel belongs to the triangle that holds its centre, and later triangles lie over earlier ones."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import Delaunay

from chdtf.warp.raster import painted, runs

HEIGHT, WIDTH = 23, 31


def _shown(points: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """The triangle of every pixel, -1 for none, (HEIGHT, WIDTH)."""
    drawn = runs(points, faces, HEIGHT, WIDTH)
    return np.append(drawn.triangle, -1)[painted(drawn, HEIGHT, WIDTH)]


def _held(points: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """The same, pixel by pixel from barycentric coordinates."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    shown = np.full((HEIGHT, WIDTH), -1)
    for number, face in enumerate(faces):
        p, q, r = points[face]
        edges = np.array([q - p, r - p]).T
        if abs(np.linalg.det(edges)) < 1e-9:
            continue
        u, v = np.linalg.inv(edges) @ np.array([x.ravel() - p[0], y.ravel() - p[1]])
        shown[((u > 0) & (v > 0) & (u + v < 1)).reshape(HEIGHT, WIDTH)] = number
    return shown


@given(st.integers(0, 100_000))
@settings(max_examples=40, deadline=None)
def test_pixels_show_the_last_triangle_that_holds_them(seed: int):
    rng = np.random.default_rng(seed)
    points = rng.uniform(-8, 38, (12, 2))
    faces = np.array([rng.choice(12, 3, replace=False) for _ in range(9)])
    assert np.array_equal(_shown(points, faces), _held(points, faces))


@given(st.integers(0, 100_000), st.booleans())
@settings(max_examples=40, deadline=None)
def test_neighbours_share_no_pixel_and_leave_none_bare(seed: int, on_pixels: bool):
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(np.arange(-6, 48, 6.0), np.arange(-6, 48, 6.0)), -1).reshape(-1, 2)
    faces = Delaunay(grid).simplices
    moved = rng.uniform(-1.4, 1.4, grid.shape)
    points = grid + (np.round(moved) if on_pixels else moved)
    drawn = runs(points, rng.permuted(faces, axis=1), HEIGHT, WIDTH)
    assert np.array_equal(np.sort(drawn.pixel), np.arange(HEIGHT * WIDTH))


def test_triangles_without_area_show_nothing():
    points = np.array([[2.0, 3], [9, 3], [20, 3], [2, 9], [2, 9], [30, 11]])
    assert (_shown(points, np.array([[0, 1, 2], [3, 4, 5]])) == -1).all()
