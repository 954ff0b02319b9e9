"""The mesh-warp renderer moves a source face by coefficients, and its frames measure back as what drove them."""

import numpy as np
import pytest
import skimage.data

from chdtf import animate
from chdtf.errors import UserError
from chdtf.faces import mouth_opening, track_landmarks
from chdtf.morphable.coefficients import landmarks_of
from chdtf.morphable.fitting import fit_clip
from chdtf.morphable.head_motion import move
from chdtf.morphable.model import load_model
from disenttalk_ref.render.mesh_warp import MeshWarpRenderer, WarpedPortrait
from disenttalk_ref.render.renderer import Portrait, Renderer


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return skimage.data.astronaut()[:240, 100:340]


@pytest.fixture(scope="module")
def portrait(image: np.ndarray) -> WarpedPortrait:
    renderer: Renderer = MeshWarpRenderer()
    found = renderer.prepare(image)
    assert isinstance(found, WarpedPortrait)
    return found


def test_the_source_coefficients_give_the_source_image(portrait: Portrait):
    (frame,) = portrait.frames(portrait.source)
    assert frame.shape == (256, 256, 3)
    assert frame.dtype == np.uint8
    again = MeshWarpRenderer().prepare(frame)
    model = load_model("mp468")
    offset = landmarks_of(again.source, model) - landmarks_of(portrait.source, model)
    assert np.linalg.norm(offset[0, :, :2], axis=1).mean() < 0.5


def test_frames_show_the_driving_mouth(portrait: Portrait):
    model = load_model("mp468")
    opening = 0.12 * (1 - np.cos(np.arange(24) / 3))
    driver = model.mean * 80 + (128, 128, 0)
    driving = fit_clip(np.stack([animate.open_mouth(driver, o) for o in opening]), model)
    frames = list(portrait.frames(move(portrait.source, driving.expression)))
    assert len(frames) == 24
    assert np.corrcoef(mouth_opening(track_landmarks(frames)), opening)[0, 1] > 0.95


def test_frames_show_the_driving_pose(portrait: Portrait):
    shifted = portrait.source.replace(translation=portrait.source.translation + np.float32([9, -5, 0]))
    (frame,) = portrait.frames(shifted)
    (rest,) = portrait.frames(portrait.source)
    moved = track_landmarks([frame, frame])[-1] - track_landmarks([rest, rest])[-1]
    assert np.median(moved[:, :2], axis=0) == pytest.approx([9, -5], abs=0.7)


def test_frames_without_coefficients_hold_the_last_face(portrait: Portrait):
    expression = np.zeros((4, portrait.source.expression.shape[1]), np.float32)
    expression[:2, 0] = 2.0
    driving = move(portrait.source, expression).replace(valid=np.array([False, True, False, True]))
    first, second, third, fourth = portrait.frames(driving)
    assert np.array_equal(second, third)
    assert not np.array_equal(third, fourth)
    assert np.array_equal(first, next(iter(portrait.frames(portrait.source))))


def test_an_image_without_a_face_is_refused_with_its_size():
    with pytest.raises(UserError, match="64x48"):
        MeshWarpRenderer().prepare(np.full((48, 64, 3), 127, np.uint8))
