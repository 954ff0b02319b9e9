"""Track: what is planted in detections comes out as box and verdict."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chdtf import media
from chdtf.shards import Workspace
from pipelines.stages.track import Stage, crop_box, frame_box, link

SIZE = (1280, 720)


def face(x: float, y: float, size: float = 200.0) -> list[float]:
    """A face box by its centre."""
    return [x - size / 2, y - size / 2, x + size / 2, y + size / 2, 0.9]


def judge(*frames: list[list[float]], stage: Stage | None = None) -> dict[str, Any]:
    boxes = [np.array(found, np.float32).reshape(-1, 5) for found in frames]
    return (stage or Stage()).judge(boxes, *SIZE)


def reason(row: dict[str, Any]) -> str | None:
    return row["reject"].split(":")[0] if row["reject"] else None


def test_a_still_face_fills_the_intended_share_a_little_below_the_middle() -> None:
    row = judge(*[[face(640, 360)]] * 20)
    assert reason(row) is None
    assert row["box_px"] == pytest.approx(200 / 0.55, abs=1)
    x0, y0, x1, y1 = row["box"] * [1280, 720, 1280, 720]
    assert (x0 + x1) / 2 == pytest.approx(640, abs=1)
    assert 0.5 < (360 - y0) / (y1 - y0) < 0.58
    assert (row["face_share"], row["main_face_share"], row["several_faces_share"]) == (1, 1, 0)


@settings(deadline=None)
@given(
    st.integers(224, 2000),
    st.integers(224, 2000),
    st.lists(st.tuples(st.floats(0.1, 0.9), st.floats(0.1, 0.9), st.floats(0.05, 1.2)), min_size=1, max_size=20),
)
def test_the_box_is_a_square_within_the_frame(width: int, height: int, faces: list[tuple[float, float, float]]) -> None:
    boxes = np.array([face(x * width, y * height, s * min(width, height)) for x, y, s in faces])
    left, top, side = frame_box(boxes, width, height)
    assert 0 <= left <= width - side
    assert 0 <= top <= height - side
    assert 0 < side <= min(width, height)


def test_a_moving_face_stays_inside() -> None:
    path = [face(500 + 10 * i, 300 + 3 * i) for i in range(20)]
    row = judge(*[[box] for box in path])
    x0, y0, x1, y1 = row["box"] * [1280, 720, 1280, 720]
    assert reason(row) is None
    for box in path:
        assert x0 <= box[0] < box[2] <= x1
        assert y0 <= box[1] < box[3] <= y1


def test_a_tight_crop_is_used_whole() -> None:
    boxes = np.array([face(112, 118, 140)] * 5)
    assert frame_box(boxes, 224, 224) == (0, 0, 224)


NOBODY: list[list[float]] = []
RIVALS = [face(400, 360), face(900, 360, 180)]
BYSTANDER = [face(400, 360), face(900, 360, 80)]


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        ([NOBODY] * 20, "no_face"),
        ([NOBODY] * 19 + [[face(640, 360)]], "no_face"),  # a false alarm is no face
        ([RIVALS] * 20, "several_faces"),
        ([RIVALS] * 3 + [[face(400, 360)]] * 17, None),  # somebody walks through
        ([BYSTANDER] * 20, None),  # small faces in the background
        ([[face(640, 360, 60)]] * 20, "face_too_small"),
        ([[face(640, 360)]] * 14 + [NOBODY] * 6, "face_lost"),
        ([[face(640, 360)]] * 18 + [NOBODY] * 2, None),
        ([[face(100 + 55 * i, 360, 150)] for i in range(20)], "face_moves"),
        ([[face(640, 360, 120 * 1.1**i)] for i in range(18)], "face_moves"),  # the camera zooms in
    ],
)
def test_verdicts(frames: list[list[list[float]]], expected: str | None) -> None:
    row = judge(*frames)
    assert reason(row) == expected
    assert row["face_share"] is not None, "scores are stored with every verdict"


def test_a_cut_between_two_people_is_not_one_face() -> None:
    row = judge(*[[face(300, 360)]] * 10, *[[face(1000, 360)]] * 10)
    assert reason(row) == "face_lost"
    assert row["main_face_share"] == 0.5


def test_thresholds_are_settings() -> None:
    frames = [[face(640, 360, 60)]] * 20
    assert reason(judge(*frames, stage=Stage(min_face_px=50))) is None


def test_tracks_are_linked_through_gaps_and_crossings_of_size() -> None:
    left, right = [face(300 + 5 * i, 300) for i in range(10)], [face(900 - 5 * i, 300, 100) for i in range(10)]
    frames = [np.array([a, b]) for a, b in zip(left, right, strict=True)]
    frames[4] = frames[4][1:]
    tracks = link(frames)
    assert [len(track) for track in tracks] == [9, 10]
    assert tracks[0][0][1][0] == pytest.approx(200)


@pytest.mark.parametrize(
    ("crop", "expected"),
    [
        ((0.25, 0.25, 0.5, 0.6), (320, 146, 320)),  # grown to a square about its centre
        ((0.0, 0.0, 0.1, 0.5), (0, 0, 360)),  # shifted inside
        ((0.2, 0.0, 0.9, 1.0), (256, -88, 896)),  # larger than the frame: reaches beyond it on both sides
    ],
)
def test_a_manifest_crop_becomes_a_square_that_holds_it(
    crop: tuple[float, ...], expected: tuple[int, int, int]
) -> None:
    assert crop_box(crop, *SIZE) == expected


class Blind:
    """A detector that must not matter."""

    def detect(self, image: np.ndarray) -> np.ndarray:
        return np.zeros((0, 5), np.float32)


def test_a_manifest_crop_wins_over_tracking(tmp_path: Path) -> None:
    video = tmp_path / "a.mp4"
    media.write_video(video, [np.zeros((90, 160, 3), np.uint8)] * 30)
    row = {
        "source": "a.mp4",
        "clip_start_s": 0.0,
        "clip_end_s": 1.2,
        "source_width": 160,
        "source_height": 90,
        "crop": [0.25, 0.0, 0.75, 1.0],
        "reject": None,
    }
    (out,) = Stage().apply(row, Blind(), Workspace(tmp_path, "track", "0" * 8))  # type: ignore[arg-type]
    assert out["reject"] is None
    assert list(out["box"]) == pytest.approx([35 / 160, 0, 125 / 160, 1])
    (out,) = Stage().apply({**row, "crop": None}, Blind(), Workspace(tmp_path, "track", "0" * 8))  # type: ignore[arg-type]
    assert reason(out) == "no_face"
