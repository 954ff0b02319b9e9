"""Track: what is planted in detections comes out as box, scores and verdict."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chdtf.engine.shards import Workspace
from pipelines.judging.thresholds import Thresholds
from pipelines.stages.track import Stage, samples

WIDTH, HEIGHT = 1280, 720
Faces = list[list[float]]


def face(x: float, y: float, size: float = 200.0) -> list[float]:
    """A face box by its centre."""
    return [x - size / 2, y - size / 2, x + size / 2, y + size / 2, 0.9]


def clip_row(*frames: Faces, **more: Any) -> dict[str, Any]:
    """The row that `cut` writes: one detection after another, in fractions of the frame."""
    size = np.array([WIDTH, HEIGHT, WIDTH, HEIGHT, 1])
    rows = [[i / 5, *(np.array(box) / size)] for i, found in enumerate(frames) for box in found]
    detections = np.array(rows, np.float32).reshape(-1, 6)
    row = {"clip_id": "v_000", "clip_start_s": 0.0, "clip_end_s": len(frames) / 5, "crop": None, "reject": None}
    shown = {"shown_width": WIDTH, "shown_height": HEIGHT, "sampled_frames": len(frames), "detections": detections}
    return {**row, **shown, **more}


def track(*frames: Faces, stage: Stage | None = None, **more: Any) -> dict[str, Any]:
    (out,) = (stage or Stage()).apply(clip_row(*frames, **more), None, Workspace(Path(), "track", "0" * 8))
    return out


def reason(row: dict[str, Any]) -> str | None:
    """Why the clip is refused, here or at publication."""
    verdict = row["reject"] or Thresholds().verdict(row)
    return verdict.split(":")[0] if verdict else None


def test_a_still_face_fills_the_intended_share_a_little_below_the_middle() -> None:
    row = track(*[[face(640, 360)]] * 20)
    assert reason(row) is None
    assert row["box_px"] == pytest.approx(200 / 0.55, abs=2)
    x0, y0, x1, y1 = row["box"] * [WIDTH, HEIGHT, WIDTH, HEIGHT]
    assert (x0 + x1) / 2 == pytest.approx(640, abs=1)
    assert 0.5 < (360 - y0) / (y1 - y0) < 0.58
    assert (row["face_share"], row["main_face_share"], row["several_faces_share"]) == (1, 1, 0)
    assert row["min_box_iou"] == pytest.approx(1)
    assert row["source_face_px"] == pytest.approx(200, abs=0.1)


def test_a_moving_face_stays_inside() -> None:
    path = [face(500 + 5 * i, 300 + 2 * i) for i in range(20)]
    row = track(*[[box] for box in path])
    x0, y0, x1, y1 = row["box"] * [WIDTH, HEIGHT, WIDTH, HEIGHT]
    assert reason(row) is None
    for box in path:
        assert x0 <= box[0] < box[2] <= x1
        assert y0 <= box[1] < box[3] <= y1


def test_one_false_box_does_not_widen_the_crop() -> None:
    steady = [[face(640, 360)]] * 20
    glitch = [*steady[:9], [face(700, 400, 280)], *steady[10:]]
    assert track(*glitch)["box_px"] == track(*steady)["box_px"]


def test_overlap_with_the_first_box_is_the_head_boxes() -> None:
    """A face that has moved by half a head: of 1.2 by 1.515 faces, (1.2 - 0.6) / (1.2 + 0.6) remains in common."""
    row = track(*[[face(500, 360)]] * 10, *[[face(620, 360)]] * 10)
    assert row["min_box_iou"] == pytest.approx(1 / 3, abs=0.01)


NOBODY: Faces = []
RIVALS = [face(400, 360), face(900, 360, 180)]
BYSTANDER = [face(400, 360), face(900, 360, 80)]


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        ([NOBODY] * 20, "no_face"),
        ([NOBODY] * 19 + [[face(640, 360)]], "no_face"),  # a false alarm is no face
        ([[face(640, 360, 20)]] * 20, "face_tiny"),
        ([RIVALS] * 20, "several_faces"),
        ([RIVALS] * 3 + [[face(400, 360)]] * 17, None),  # somebody walks through
        ([BYSTANDER] * 20, None),  # small faces in the background
        ([[face(640, 360, 60)]] * 20, "face_too_small"),
        ([[face(640, 360)]] * 14 + [NOBODY] * 6, "face_lost"),
        ([[face(640, 360)]] * 18 + [NOBODY] * 2, None),
        ([[face(300, 360)]] * 10 + [[face(1000, 360)]] * 10, "face_lost"),  # two people are not one face
        ([[face(100 + 55 * i, 360, 150)] for i in range(20)], "face_moves"),
        ([[face(640, 360, 120 * 1.1**i)] for i in range(18)], "face_moves"),  # the camera zooms in
    ],
)
def test_verdicts(frames: list[Faces], expected: str | None) -> None:
    row = track(*frames)
    assert reason(row) == expected
    assert row["face_share"] is not None, "scores are stored with every verdict"


def test_only_what_has_no_usable_face_is_refused_here() -> None:
    assert track(*[RIVALS] * 20)["reject"] is None
    assert track(*[[face(640, 360, 60)]] * 20)["reject"] is None
    assert track(*[[face(640, 360, 20)]] * 20, stage=Stage(min_face_px=10))["reject"] is None


def test_a_manifest_crop_wins_and_is_not_scored() -> None:
    row = track(*[RIVALS] * 20, crop=[0.25, 0.0, 0.75, 1.0])
    assert reason(row) is None
    assert list(row["box"]) == pytest.approx([280 / 1280, 0.0, 1000 / 1280, 1.0])
    assert row["box_px"] == 720
    assert row.get("several_faces_share") is None


def test_detections_come_back_by_frame() -> None:
    found = samples(clip_row(RIVALS, NOBODY, [face(640, 360)])["detections"], WIDTH, HEIGHT)
    assert [time_s for time_s, _ in found] == pytest.approx([0.0, 0.4])
    assert [len(faces) for _, faces in found] == [2, 1]
    assert found[1][1][0] == pytest.approx(face(640, 360), abs=1e-3)
    assert samples(None, WIDTH, HEIGHT) == []
