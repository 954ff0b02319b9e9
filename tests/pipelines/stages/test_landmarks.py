"""Landmarks: frames with a face have points on it, frames without are NaN."""

from pathlib import Path

import numpy as np
import pytest
from skimage.data import astronaut

from chdtf import media
from chdtf.engine.shards import Workspace
from chdtf.schema import NUM_LANDMARKS
from pipelines.stages.landmarks import Stage


@pytest.mark.slow
def test_points_lie_on_the_face_and_only_where_there_is_one(tmp_path: Path) -> None:
    face = astronaut()[0:256, 90:346]
    images = [np.roll(face, shift, axis=1) for shift in (0, 2, 4, 6)] + [np.full_like(face, 90)] * 4
    media.write_video(tmp_path / "a.mp4", [image for image in images for _ in range(2)])
    (row,) = Stage().apply({"video": "a.mp4"}, None, Workspace(tmp_path, "landmarks", "0" * 8))
    points = row["landmarks"].reshape(-1, NUM_LANDMARKS, 3)
    assert row["landmarks"].shape == (16, NUM_LANDMARKS * 3)
    assert row["face_found_share"] == 0.5
    assert np.isnan(points[8:]).all()
    assert not np.isnan(points[:8]).any()
    nose = points[:8, 1, :2]
    assert nose[0] == pytest.approx([136, 124], abs=12)
    assert nose[7, 0] - nose[0, 0] == pytest.approx(6, abs=2), "points move as the face does"
