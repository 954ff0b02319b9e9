"""A video gets new lips: the mouth as wanted, everything above it to the bit as it was."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from chdtf.faces import mouth_opening, track_landmarks
from chdtf.morphable.coefficients import Coefficients
from chdtf.morphable.model import load_model
from disenttalk_ref.checkpoint import DEFAULT, read_header
from disenttalk_ref.generate.control import closed_mouth
from disenttalk_ref.generate.dubbing import DubbedVideo, lift_lips, prepare_dubbing, warp_lower_face
from disenttalk_ref.generate.source import fit_video, track_video

LIP = list(read_header(DEFAULT).regions[1])


@pytest.fixture(scope="module")
def dubbed(spoken: Any) -> DubbedVideo:
    video = track_video(spoken.path, 100)
    model = load_model("mp468")
    return prepare_dubbing(video, fit_video(video, model), model)


@pytest.fixture(scope="module")
def originals(dubbed: DubbedVideo) -> np.ndarray:
    return np.stack([image for _, image in dubbed.video.frames(dubbed.video.num_frames)])


def _with_lips(dubbed: DubbedVideo, expression: np.ndarray) -> Coefficients:
    changed = dubbed.source.expression.copy()
    changed[:, LIP] = expression[:, LIP]
    return dubbed.source.replace(expression=changed)


def test_the_mouth_does_what_is_wanted_and_the_rest_is_the_videos(
    dubbed: DubbedVideo, originals: np.ndarray, spoken: Any
) -> None:
    closed = closed_mouth(dubbed.model, LIP)
    wave = (1 + np.sin(2 * np.pi * np.arange(len(originals)) / 8))[:, None]  # three times as fast as the video's
    made = np.stack(list(dubbed.frames(_with_lips(dubbed, closed - wave * closed))))
    assert made.shape == originals.shape
    assert made.dtype == np.uint8
    opening = mouth_opening(track_landmarks(made))
    assert np.corrcoef(opening, wave[:, 0])[0, 1] > 0.9
    assert abs(np.corrcoef(opening, spoken.opening)[0, 1]) < 0.4
    for frame, original, landmarks in zip(made, originals, dubbed.video.landmarks, strict=True):
        above = int(landmarks[[145, 374], 1].min())  # the lower lids
        assert np.array_equal(frame[:above], original[:above])


def test_the_videos_own_lips_leave_the_face_as_it_is(dubbed: DubbedVideo, originals: np.ndarray):
    made = np.stack(list(dubbed.frames(dubbed.source)))
    apart = np.abs(made.astype(int) - originals).max(axis=(0, 3))  # (256, 256)
    assert (apart > 0).mean() < 0.04  # the mouth's interior alone
    mouth = dubbed.video.landmarks[:, [61, 291, 0, 17], :2]
    low, high = mouth.min((0, 1)) - 3, mouth.max((0, 1)) + 3
    rows, columns = np.nonzero(apart)
    assert (rows >= low[1]).all()
    assert (rows <= high[1]).all()
    assert (columns >= low[0]).all()
    assert (columns <= high[0]).all()


def test_any_number_of_threads_gives_the_same_frames(dubbed: DubbedVideo):
    wide = _with_lips(dubbed, -closed_mouth(dubbed.model, LIP) + 0 * dubbed.source.expression)
    alone, together = (list(dataclasses.replace(dubbed, threads=count).frames(wide)) for count in (1, 3))
    assert np.array_equal(alone, together)


def test_a_frame_without_a_face_is_shown_as_it_is(dubbed: DubbedVideo, originals: np.ndarray):
    valid = dubbed.source.valid.copy()
    valid[5] = False
    blind = dataclasses.replace(dubbed, source=dubbed.source.replace(valid=valid))
    wide = _with_lips(dubbed, dubbed.source.expression - 3 * closed_mouth(dubbed.model, LIP))
    made = list(blind.frames(wide))
    assert np.array_equal(made[5], originals[5])
    assert not np.array_equal(made[4], originals[4])


def test_a_warp_to_the_same_place_is_the_image(dubbed: DubbedVideo, originals: np.ndarray):
    face = dubbed.video.landmarks[0].astype(np.float64) - (0.5, 0.5, 0)
    assert np.array_equal(warp_lower_face(originals[0], face, face), originals[0])


def test_lips_that_close_are_drawn_back_from_the_teeth(dubbed: DubbedVideo, spoken: Any):
    wide = int(np.argmax(spoken.opening))
    face = dubbed.video.landmarks[wide].astype(np.float64)
    shut = face.copy()
    shut[14] = shut[13]
    lifted = lift_lips(face, shut)
    assert lifted[13, 1] < face[13, 1] - 0.5
    assert lifted[14, 1] > face[14, 1] + 0.5
    assert np.array_equal(lift_lips(face, face), face)
