"""Cut: the pieces cover the interval, each frame once, and none is too long or too short."""

import itertools
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chdtf.errors import Reject
from chdtf.schema import FPS
from chdtf.shards import Workspace
from pipelines.stages.cut import Stage, pieces


def cut(duration_s: float | None, start_s: float | None = None, end_s: float | None = None) -> list[dict[str, Any]]:
    row = {"video_id": "v", "clip_id": "v", "source_duration_s": duration_s, "start_s": start_s, "end_s": end_s}
    return Stage().apply(row, None, Workspace(Path(), "cut", "0" * 8))


@given(st.floats(0, 1e4), st.floats(1, 4000), st.floats(2, 60))
def test_pieces_cover_the_interval_on_the_frame_grid(start_s: float, length_s: float, max_clip_s: float) -> None:
    found = pieces(start_s, start_s + length_s, max_clip_s)
    assert found[0][0] == start_s
    assert found[-1][1] == start_s + length_s
    assert all(left[1] == right[0] for left, right in itertools.pairwise(found))
    lengths = [end - begin for begin, end in found]
    assert max(lengths) <= max_clip_s + 1 / FPS
    assert max(lengths) - min(lengths) <= 2 / FPS + 1e-6
    for begin, _ in found:
        assert (begin - start_s) * FPS == pytest.approx(round((begin - start_s) * FPS), abs=1e-6)


def test_clips_are_numbered_and_keep_their_video() -> None:
    rows = cut(65.0)
    assert [row["clip_id"] for row in rows] == ["v_000", "v_001", "v_002"]
    assert {row["video_id"] for row in rows} == {"v"}
    assert [(row["clip_start_s"], row["clip_end_s"]) for row in cut(60.0, 3.5, 9.25)] == [(3.5, 9.25)]


@pytest.mark.parametrize(
    ("duration_s", "start_s", "end_s", "reason"),
    [
        (10.0, 9.5, None, "too_short"),
        (0.5, None, None, "too_short"),
        (10.0, 12.0, None, "outside_source"),
        (10.0, 10.0, None, "outside_source"),
        (10.0, 2.0, 12.0, "outside_source"),
        (0.0, None, None, "unknown_duration"),
        (None, None, None, "unknown_duration"),
    ],
)
def test_what_cannot_be_cut_is_rejected(
    duration_s: float | None, start_s: float | None, end_s: float | None, reason: str
) -> None:
    with pytest.raises(Reject) as caught:
        cut(duration_s, start_s, end_s)
    assert caught.value.reason == reason


def test_an_annotation_that_ends_just_after_the_source_is_cut_to_it() -> None:
    assert cut(10.0, 2.0, 10.9)[0]["clip_end_s"] == 10.0
