"""Head motion: applied and measured back, free of identity and place."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from chdtf.morphable.coefficients import Coefficients
from chdtf.morphable.head_motion import MIRROR_SIGN, head_motion, mean_pose, move


def _still(seed: int) -> Coefficients:
    rng = np.random.default_rng(seed)
    return Coefficients(
        identity=rng.standard_normal((468, 3)),
        expression=rng.standard_normal((1, 64)),
        rotation=rng.uniform(-0.3, 0.3, (1, 3)),
        translation=np.array([[128.0, 120.0, 0.0]]),
        scale=np.array([90.0]),
        valid=np.ones(1, bool),
    )


def _nod(frames: int = 40) -> np.ndarray:
    return 0.1 * np.sin(np.arange(frames)[:, None] * 0.2 + np.arange(6))


def test_motion_that_was_applied_is_measured_back_whoever_moves():
    motion = _nod()
    for seed in range(3):
        source = _still(seed)
        moved = move(source, np.zeros((len(motion), 64)), motion)
        np.testing.assert_allclose(head_motion(moved, source), motion, atol=1e-5)


def test_without_motion_the_source_stays_where_it_is():
    source = _still(0)
    moved = move(source, np.ones((5, 64)))
    np.testing.assert_allclose(moved.rotation, np.repeat(source.rotation, 5, 0), atol=1e-6)
    np.testing.assert_array_equal(moved.translation, np.repeat(source.translation, 5, 0))
    assert not head_motion(moved, source).any() or np.abs(head_motion(moved, source)).max() < 1e-6


def test_a_clip_moves_about_its_mean_pose_and_lost_frames_count_for_nothing():
    moved = move(_still(1), np.zeros((40, 64)), _nod())
    valid = np.ones(40, bool)
    valid[[3, 17]] = False
    spoilt = moved.replace(valid=valid, scale=np.where(valid, moved.scale, 0), rotation=moved.rotation * valid[:, None])
    about = head_motion(spoilt, mean_pose(spoilt))
    assert not about[~valid].any()
    assert np.abs(about[valid].mean(0)).max() < 2e-3
    with pytest.raises(ValueError, match="no frame is valid"):
        mean_pose(spoilt.replace(valid=np.zeros(40, bool)))


def test_mirroring_by_signs_is_mirroring_the_picture():
    source, motion = _still(2), _nod()
    mirror = np.array([1.0, -1.0, -1.0])  # a rotation seen in the mirror x -> -x
    mirrored_source = source.replace(rotation=source.rotation * mirror, translation=source.translation * [-1, 1, 1])
    moved = move(source, np.zeros((40, 64)), motion)
    mirrored = moved.replace(rotation=moved.rotation * mirror, translation=moved.translation * [-1, 1, 1])
    np.testing.assert_allclose(head_motion(mirrored, mirrored_source), motion * MIRROR_SIGN, atol=1e-5)
    flip = np.diag([-1.0, 1.0, 1.0])
    turn = Rotation.from_rotvec([0.1, 0.2, 0.3]).as_matrix()
    np.testing.assert_allclose(flip @ turn @ flip, Rotation.from_rotvec(np.array([0.1, 0.2, 0.3]) * mirror).as_matrix())
