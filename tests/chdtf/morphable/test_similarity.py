import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from chdtf.morphable.similarity import Similarity, fit_similarity


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_planted_similarity_is_recovered_and_unweighted_points_do_not_matter(seed: int):
    rng = np.random.default_rng(seed)
    source = rng.normal(size=(20, 3))
    pose = Similarity(
        Rotation.random(4, random_state=seed).as_matrix(), rng.uniform(0.1, 90, 4), rng.normal(size=(4, 3)) * 50
    )
    target = pose.apply(source)
    weights = np.ones(20)
    weights[:5] = 0
    target[:, :5] += rng.normal(size=(4, 5, 3)) * 100
    found = fit_similarity(source, target, weights)
    np.testing.assert_allclose(found.rotation, pose.rotation, atol=1e-9)
    np.testing.assert_allclose(found.scale, pose.scale, rtol=1e-9)
    np.testing.assert_allclose(found.undo(target)[:, 5:], np.broadcast_to(source[5:], (4, 15, 3)), atol=1e-8)


def test_rotation_equals_scipys_wahba_solution_under_noise():
    rng = np.random.default_rng(0)
    source, weights = rng.normal(size=(30, 3)), rng.uniform(0.1, 3, 30)
    target = source @ Rotation.random(random_state=1).as_matrix().T + rng.normal(size=(30, 3)) * 0.2
    share = weights[:, None] / weights.sum()
    wanted, _ = Rotation.align_vectors(target - (target * share).sum(0), source - (source * share).sum(0), weights)
    found = fit_similarity(source, target[None], weights).rotation[0]
    np.testing.assert_allclose(found, wanted.as_matrix(), atol=1e-9)


def test_a_mirror_image_is_met_by_a_rotation_not_a_reflection():
    source = np.random.default_rng(2).normal(size=(12, 3))
    found = fit_similarity(source, (source * (-1, 1, 1))[None], np.ones(12))
    assert np.linalg.det(found.rotation[0]) == pytest.approx(1.0)


def test_wrong_shapes_and_coinciding_points_are_named():
    with pytest.raises(ValueError, match=r"source \(5, 3\), target \(2, 4, 3\)"):
        fit_similarity(np.zeros((5, 3)), np.zeros((2, 4, 3)), np.ones(4))
    with pytest.raises(ValueError, match="coincide"):
        fit_similarity(np.zeros((4, 3)), np.ones((2, 4, 3)), np.ones(4))
