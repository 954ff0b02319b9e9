import numpy as np
import pytest

from chdtf.faces import FACE_OVAL, INNER_LIPS, LEFT_EYE, RIGHT_EYE
from chdtf.morphable.model import FaceModel, load_model
from chdtf.morphable.regions import mirror_map
from chdtf.morphable.register import (
    RegisterSettings,
    SurfacePoint,
    along_path,
    as_map,
    closest_face,
    contour_anchors,
    mirror_points,
    register,
    symmetric_face,
    warp,
)
from chdtf.morphable.similarity import fit_similarity
from chdtf.morphable.surface import Surface

FEW_ROUNDS = RegisterSettings(stiffness=(1.0, 0.3, 0.06))
ANCHORS = (*INNER_LIPS, *RIGHT_EYE, *LEFT_EYE, 4)


@pytest.fixture(scope="module")
def model() -> FaceModel:
    return load_model("mp468")


@pytest.fixture(scope="module")
def source(model: FaceModel) -> np.ndarray:
    return model.mean.astype(np.float64)


def refined(vertices: np.ndarray, triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every triangle cut into four: another mesh of the same surface, whose first vertices are the old ones."""
    edges = np.sort(np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]), axis=1)
    pairs, number = np.unique(edges, axis=0, return_inverse=True)
    ab, bc, ca = number.reshape(3, -1) + len(vertices)
    a, b, c = triangles.T
    cut = np.concatenate([np.stack(t, 1) for t in ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))])
    return np.concatenate([vertices, vertices[pairs].mean(1)]), cut


def at_vertex(surface: Surface, vertex: int) -> SurfacePoint:
    near = min(surface.neighbours[vertex])
    return SurfacePoint((vertex, near, surface.third(vertex, near)), (1.0, 0.0, 0.0))


def deformed(source: np.ndarray) -> np.ndarray:
    """Another face: its chin and nose longer, and broader; symmetric."""
    other = source.copy()
    other[:, 1] *= 1 + 0.08 * other[:, 1]
    other[:, 2] -= 0.08 * np.exp(-(other[:, :2] ** 2).sum(1) / 0.05)
    other[:, 0] *= 1.06
    return other


def test_a_planted_correspondence_is_found_on_another_mesh(model: FaceModel, source: np.ndarray):
    vertices, triangles = refined(deformed(source), model.triangles)
    surface = Surface(vertices, triangles)
    anchors = {number: at_vertex(surface, number) for number in ANCHORS}
    found = register(source, model.triangles, surface, anchors, settings=FEW_ROUNDS)
    error = np.linalg.norm(found.at(vertices) - vertices[found.landmarks], axis=1)
    assert len(found.landmarks) > 460
    inner = ~np.isin(found.landmarks, FACE_OVAL)
    assert error[inner].mean() < 0.012
    assert error.max() < 0.08
    naive = np.linalg.norm(source - vertices[:468], axis=1)  # what no registration at all would give
    assert error[inner].mean() < naive[found.landmarks[inner]].mean() / 3
    known = np.isin(found.landmarks, list(anchors))
    np.testing.assert_allclose(error[known], 0, atol=1e-6)


def test_points_without_a_counterpart_are_left_out(model: FaceModel, source: np.ndarray):
    chin = source[:, 1] > 0.75
    kept = model.triangles[~chin[model.triangles].any(axis=1)]
    surface = Surface(source, kept)
    anchors = {number: at_vertex(surface, number) for number in ANCHORS}
    found = register(source, model.triangles, surface, anchors, (10,), FEW_ROUNDS)
    assert 152 not in found.landmarks
    assert 10 not in found.landmarks
    assert {*ANCHORS, 1, 50, 280} <= set(found.landmarks.tolist())


def test_points_along_a_path_lie_at_their_share_of_its_length(model: FaceModel, source: np.ndarray):
    surface = Surface(source, model.triangles)
    path = surface.shortest_path(10, 152)
    points = along_path(path, source, surface, np.array([0.0, 0.3, 1.0]))
    np.testing.assert_allclose(points[0].at(source), source[10])
    np.testing.assert_allclose(points[2].at(source), source[152])
    assert sum(points[1].shares) == pytest.approx(1)
    length = np.linalg.norm(np.diff(source[path], axis=0), axis=1)
    first, second, _ = points[1].corners
    before = length[: path.index(first)].sum() + np.linalg.norm(points[1].at(source) - source[first])
    assert before == pytest.approx(0.3 * length.sum())
    assert path.index(second) == path.index(first) + 1


def test_a_contour_falls_on_itself(model: FaceModel, source: np.ndarray):
    surface = Surface(source, model.triangles)
    contour = INNER_LIPS[:11]
    anchors = contour_anchors(contour, contour, source, source, surface)
    for number, point in anchors.items():
        np.testing.assert_allclose(point.at(source), source[number], atol=1e-9)


def test_mirrored_points_lie_across(model: FaceModel, source: np.ndarray):
    surface = Surface(source, model.triangles)
    anchors = contour_anchors(RIGHT_EYE[:9], RIGHT_EYE[:9], source, source, surface)
    both = mirror_points(anchors, mirror_map(source), source)
    assert set(both) == {*RIGHT_EYE[:9], *mirror_map(source)[list(RIGHT_EYE[:9])]}
    np.testing.assert_allclose(both[263].at(source), both[33].at(source) * (-1, 1, 1), atol=1e-5)
    table = as_map(both)
    assert table.landmarks.tolist() == sorted(both)


def test_a_warp_without_stiffness_goes_through_its_targets(source: np.ndarray):
    chosen = np.arange(0, 468, 13)
    target = source[chosen] + np.random.default_rng(2).normal(0, 0.02, (len(chosen), 3))
    exact = warp(source[chosen], source[chosen], target, np.zeros(len(chosen)))
    np.testing.assert_allclose(exact, target, atol=1e-6)
    affine = source @ np.diag([1.1, 0.9, 1.2]) + 0.3
    np.testing.assert_allclose(warp(source, source[chosen], affine[chosen], np.ones(len(chosen))), affine, atol=1e-6)


def test_planted_coefficients_are_found_by_the_closest_face(model: FaceModel, source: np.ndarray):
    bases = model.identity_basis[:8].astype(np.float64)
    planted = np.array([1.0, -0.8, 0.5, 0.3, -0.6, 0.2, 0.4, -0.1])
    face = source + np.tensordot(planted, bases, axes=1)
    found = closest_face(0.5 * face + 3.0, model.landmark_map, source, bases, np.full(8, 10.0))
    pose = fit_similarity(found, face[None], np.ones(468))  # a face's size and pose are not the coefficients' affair
    np.testing.assert_allclose(pose.apply(found)[0], face, atol=2e-3)
    np.testing.assert_allclose(symmetric_face(source, source), source, atol=1e-3)
