"""The mesh-warp renderer moves a source face by coefficients, and its frames measure back as what drove them."""

import dataclasses

import cv2
import numpy as np
import pytest
import skimage.data

from chdtf import animate
from chdtf.errors import UserError
from chdtf.faces import mouth_opening, track_landmarks
from chdtf.media import resize
from chdtf.morphable.coefficients import Coefficients, landmarks_of
from chdtf.morphable.fitting import fit_clip
from chdtf.morphable.head_motion import head_motion, move
from chdtf.morphable.model import load_model
from chdtf.warp.person import person_mask
from disenttalk_ref.render.limits import within_reach
from disenttalk_ref.render.mesh_warp import MeshWarpRenderer, WarpedPortrait
from disenttalk_ref.render.renderer import Portrait, Renderer


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return skimage.data.astronaut()[:240, 100:340]


@pytest.fixture(scope="module")
def source(image: np.ndarray) -> np.ndarray:
    return resize(image, 256)


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


def _talking(portrait: WarpedPortrait, motion: np.ndarray | None = None) -> Coefficients:
    """Six frames of a moving mouth, head motion (6, 6)."""
    expression = np.zeros((6, portrait.model.num_expression), np.float32)
    expression[:, 0] = np.linspace(-1, 2, 6)
    return move(portrait.source, expression, motion)


def test_any_number_of_threads_gives_the_same_frames(portrait: WarpedPortrait):
    motion = np.linspace(0, 1, 6)[:, None] * np.array([0.05, 0.2, -0.05, 0.1, 0.05, 0.03])
    driving = _talking(portrait, motion)
    alone = list(dataclasses.replace(portrait, threads=1).frames(driving))
    together = list(dataclasses.replace(portrait, threads=3).frames(driving))
    assert np.array_equal(alone, together)


def test_a_still_head_leaves_the_background_to_the_bit(portrait: WarpedPortrait, source: np.ndarray):
    frames = np.stack(list(portrait.frames(_talking(portrait))))
    landmarks = portrait.landmarks
    low, high = landmarks[:, :2].min(0), landmarks[:, :2].max(0)
    margin = 0.5 * (high - low)
    y, x = np.mgrid[:256, :256]
    away = (x < low[0] - margin[0]) | (x > high[0] + margin[0]) | (y < low[1] - margin[1])
    assert away.mean() > 0.2
    assert (frames[:, away] == source[away]).all()
    assert np.ptp(frames[:, ~away].astype(int), axis=0).max() > 20


def test_background_that_a_moving_head_does_not_touch_keeps_still(portrait: WarpedPortrait, source: np.ndarray):
    motion = np.linspace(-1, 1, 6)[:, None] * np.array([0.0, 0.15, 0.08, 0.1, 0, 0])
    frames = np.stack(list(portrait.frames(_talking(portrait, motion))))
    away = cv2.dilate(person_mask(source), np.ones((61, 61))) == 0
    assert away.mean() > 0.05
    assert (frames[:, away] == source[away]).all()
    assert np.ptp(frames[:, ~away].astype(int), axis=0).mean() > 5


def test_motion_beyond_reach_is_held_back_and_the_face_stays_a_face(portrait: WarpedPortrait):
    motion = np.zeros((2, 6), np.float32)
    motion[0], motion[1] = [0, 1.4, 0, 0, 0, 0], [0.3, 0.2, 1.2, 3, -3, 1]
    expression = np.zeros((2, portrait.model.num_expression), np.float32)
    expression[:, :4] = 60
    wild = move(portrait.source, expression, motion)
    held = within_reach(portrait.source, wild, portrait.model)
    turned = np.linalg.norm(head_motion(held, portrait.source)[:, :3], axis=1)
    assert (turned < np.deg2rad(31)).all()
    assert not np.isnan(track_landmarks([*portrait.frames(wild.replace(expression=0 * expression))][:1] * 2)).any()
    mild = _talking(portrait, np.full((6, 6), 0.1, np.float32))
    assert within_reach(portrait.source, mild, portrait.model) is mild


def test_an_image_without_a_face_is_refused_with_its_size():
    with pytest.raises(UserError, match="64x48"):
        MeshWarpRenderer().prepare(np.full((48, 64, 3), 127, np.uint8))
