"""Maps of moved meshes: what an affine motion says, and nothing where nothing moves."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import Delaunay

from chdtf.warp.layers import Box
from chdtf.warp.piecewise import coarse_map, inverse_map, lay_over

BOX = Box(3, 5, 44, 37)


def _mesh(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A grid with its points displaced, without slivers, that reaches well beyond the box."""
    grid = np.stack(np.meshgrid(np.arange(-36, 97, 12.0), np.arange(-36, 97, 12.0)), -1).reshape(-1, 2)
    return grid + np.random.default_rng(seed).uniform(-2.5, 2.5, grid.shape), Delaunay(grid).simplices


def _here() -> np.ndarray:
    y, x = np.mgrid[BOX.y0 : BOX.y1, BOX.x0 : BOX.x1]
    return x + 1j * y


@given(st.integers(0, 10_000), st.floats(-0.3, 0.3), st.floats(0.8, 1.2), st.floats(-6, 6))
@settings(max_examples=30, deadline=None)
def test_an_affine_motion_is_undone_everywhere(seed: int, turn: float, scale: float, shift: float):
    points, faces = _mesh(seed)
    matrix = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    moved = points @ matrix.T + (shift, -shift)
    at = np.stack([_here().real, _here().imag], -1)
    wanted = (at - (shift, -shift)) @ np.linalg.inv(matrix).T @ (1, 1j)
    for found in (inverse_map(points, moved, faces, BOX), coarse_map(points, moved, faces, BOX)):
        assert np.abs(found - wanted).max() < 1e-3


@given(st.integers(0, 10_000))
@settings(max_examples=10, deadline=None)
def test_what_no_triangle_covers_stays_where_it_is(seed: int):
    points, faces = _mesh(seed)
    nothing = faces[:0]
    assert np.array_equal(inverse_map(points, points, nothing, BOX), _here())
    assert np.array_equal(coarse_map(points, points, nothing, BOX), _here())
    beneath = (_here() + 3).astype(np.complex64)
    inner = faces[points[faces].mean(1).max(1) < 30]
    found = beneath.copy()
    lay_over(found, points, points, inner, BOX)
    covered = np.abs(found - _here()) < 1.0
    assert 0.2 < covered.mean() < 1
    assert np.array_equal(found[~covered], beneath[~covered])
