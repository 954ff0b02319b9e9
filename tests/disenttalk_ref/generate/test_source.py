"""Videos as sources: a planted turn of the head and a planted blink come back, whatever the video's frame rate."""

import dataclasses
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chdtf.errors import UserError
from chdtf.faces import eye_aspect_ratio
from chdtf.media import frames, write_video
from chdtf.morphable.coefficients import Coefficients
from chdtf.morphable.model import load_model
from disenttalk_ref.checkpoint import DEFAULT, read_header
from disenttalk_ref.generate import source
from disenttalk_ref.generate.source import TrackedVideo, eye_motion, fit_video, follow, pose_motion, track_video


@pytest.fixture(scope="module")
def tracked(spoken: Any) -> TrackedVideo:
    return track_video(spoken.path, 100)


@pytest.fixture(scope="module")
def fitted(tracked: TrackedVideo) -> Coefficients:
    return fit_video(tracked, load_model("mp468"))


def test_a_video_of_50_fps_is_followed_at_25(tracked: TrackedVideo, spoken: Any):
    assert tracked.num_frames == len(spoken.opening)
    assert tracked.seen.all()
    x0, _, side = tracked.square
    assert 150 < side <= 280
    assert x0 < 188 < x0 + side  # the face's middle
    shown = dict(tracked.frames(tracked.num_frames))
    assert list(shown) == list(range(tracked.num_frames))
    assert shown[0].shape == (256, 256, 3)


def test_the_turn_of_the_head_comes_back(fitted: Coefficients, spoken: Any):
    pose = pose_motion(fitted)
    assert not pose[0].any()
    turn = pose[:, 1] - np.polyval(np.polyfit(spoken.yaw, pose[:, 1], 1), spoken.yaw)
    assert np.abs(turn).max() < 0.04
    assert np.ptp(pose[:, 1]) == pytest.approx(np.ptp(spoken.yaw), rel=0.35)


def test_the_blink_comes_back_on_another_face(fitted: Coefficients, spoken: Any):
    model, eye = load_model("mp468"), list(read_header(DEFAULT).regions[0])
    expression = np.zeros((len(spoken.closure), 64))
    expression[:, eye] = eye_motion(fitted)[:, eye]
    ratio = eye_aspect_ratio(model.mean + model.displacement(expression))
    shut = spoken.closure > 0
    assert ratio[shut].mean() < 0.5 * np.median(ratio[~shut])
    assert np.median(ratio[~shut]) == pytest.approx(eye_aspect_ratio(model.mean[None])[0], rel=0.05)


def test_frames_forward_and_backward_are_the_ones_played(
    tracked: TrackedVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "_PIECE_FRAMES", 5)  # backward in pieces
    short = dataclasses.replace(tracked, landmarks=tracked.landmarks[:12], seen=tracked.seen[:12])
    once = [image for _, image in short.frames(12)]
    played = list(short.frames(40))
    order = [*range(12), *range(10, 0, -1), *range(12), *range(10, 4, -1)]
    assert [number for number, _ in played] == order
    assert all(np.array_equal(image, once[number]) for number, image in played)


def test_only_as_much_is_followed_as_is_needed(spoken: Any):
    assert track_video(spoken.path, 3).num_frames == 3


def test_frames_without_a_face_are_told_and_interpolated(
    spoken: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shown = list(frames(spoken.path))
    hidden = [np.full_like(image, 60) if 8 <= k < 16 else image for k, image in enumerate(shown)]
    write_video(tmp_path / "gap.mp4", hidden)
    with caplog.at_level(logging.WARNING):
        video = track_video(tmp_path / "gap.mp4", 100)
    assert "only" in caplog.text
    assert "of 24 frames show a face" in caplog.text
    eyes = eye_motion(fit_video(video, load_model("mp468")))
    lost = np.flatnonzero(~video.seen)
    assert np.isfinite(eyes).all()
    bend = np.diff(eyes[lost[0] - 1 : lost[-1] + 2], 2, axis=0)
    assert np.abs(bend).max() < 1e-3  # a straight line between its ends


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "no such file"), (b"", "give a video that plays"), (b"hello" * 99, "give a video that plays")],
)
def test_files_that_are_no_videos(tmp_path: Path, content: bytes | None, said: str):
    path = tmp_path / "odd.mp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=said) as raised:
        track_video(path, 10)
    assert "\n" not in str(raised.value)


def test_a_video_without_a_face_is_refused(tmp_path: Path):
    write_video(tmp_path / "grey.mp4", np.full((6, 96, 128, 3), 90, np.uint8))
    with pytest.raises(UserError, match=r"grey\.mp4: no face found in 2 frames of 128x96 px"):
        track_video(tmp_path / "grey.mp4", 10)


def test_the_tallest_face_is_followed_among_others():
    def box(x: float, size: float) -> list[float]:
        return [x, 0, x + size, size]

    found = [np.array([box(300 + 5 * k, 40), box(10 + 8 * k, 60 if k != 3 else 39)]) for k in range(6)]
    found[5] = np.array([[300.0, 0.0, 390.0, 55.0]])  # the other one alone: too far away
    chosen = follow(found)
    assert sorted(chosen[:, 0].tolist()) == [10, 18, 26, 34, 42]
    assert follow([]).shape == (0, 4)
