"""Framing: boxes are linked into faces, and the square holds them wherever they are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chdtf.region import contains
from pipelines.clips.framing import Framing, crop_box, even_fractions, fractions_of, iou, link, smooth
from pipelines.stages.cut import Stage


def face(x: float, y: float, size: float = 200.0) -> list[float]:
    """A face box by its centre."""
    return [x - size / 2, y - size / 2, x + size / 2, y + size / 2, 0.9]


BOXES = st.lists(st.tuples(st.floats(0.1, 0.9), st.floats(0.1, 0.9), st.floats(0.05, 1.2)), min_size=1, max_size=20)


@settings(deadline=None)
@given(st.integers(224, 2000), st.integers(224, 2000), BOXES)
def test_the_crop_is_a_square_within_the_frame(width: int, height: int, faces: list[tuple[float, ...]]) -> None:
    boxes = np.array([face(x * width, y * height, s * min(width, height)) for x, y, s in faces])
    left, top, side = Framing().crop(boxes, width, height)
    assert 0 <= left <= width - side
    assert 0 <= top <= height - side
    assert 0 < side <= min(width, height)


def test_a_tight_crop_is_used_whole() -> None:
    assert Framing().crop(np.array([face(112, 118, 140)] * 5), 224, 224) == (0, 0, 224)


def first_order_model(tube: np.ndarray, increase_area: float) -> np.ndarray:
    """The published rule, in its own terms: each side of the union of boxes moves by a share of that side's length."""
    left, top, right, bottom = tube
    width, height = right - left, bottom - top
    across = max(increase_area, ((1 + 2 * increase_area) * height - width) / (2 * width))
    down = max(increase_area, ((1 + 2 * increase_area) * width - height) / (2 * height))
    return np.array([left - across * width, top - down * height, right + across * width, bottom + down * height])


@given(BOXES, st.floats(0, 0.5))
def test_the_crop_follows_the_first_order_model(faces: list[tuple[float, ...]], increase_area: float) -> None:
    boxes = np.array([face(1000 * x, 1000 * y, 1000 * s) for x, y, s in faces])
    framing = Framing(increase_area=increase_area)
    heads = framing.heads(boxes)
    tube = np.concatenate([heads[:, :2].min(axis=0), heads[:, 2:].max(axis=0)])
    assert framing.wanted(boxes) == pytest.approx(first_order_model(tube, increase_area), abs=1e-6)


@given(st.floats(-0.6, 0.6), st.floats(-0.6, 0.6))
def test_the_region_holds_the_crop_of_a_face_that_overlaps_the_first(across: float, down: float) -> None:
    """Of whatever box of its size has an IoU of 0.25 or more with the first."""
    first, other = np.array(face(1000, 1000)), np.array(face(1000 + 200 * across, 1000 + 200 * down))
    if iou(other[None], first)[0] < 0.25:
        return
    roi = Framing().region(first, 2000, 2000, Stage().region_span)
    square = Framing().crop(np.stack([first, other]), 2000, 2000)
    assert contains(roi.tolist(), fractions_of(square, 2000, 2000).tolist())
    assert (roi[2] - roi[0]) * 2000 < 3.3 * 200


@given(st.integers(1, 2000), st.integers(1, 2000), st.tuples(*[st.floats(-100, 2100)] * 4))
def test_regions_lie_on_even_pixels_within_the_frame(width: int, height: int, box: tuple[float, ...]) -> None:
    found = even_fractions(box, width, height) * [width, height, width, height]
    assert np.all((found >= 0) & (found <= [width, height, width, height]))
    for value, limit in zip(found, [width, height, width, height], strict=True):
        assert value == pytest.approx(limit) or value == pytest.approx(2 * round(value / 2), abs=1e-6)


def test_overlap() -> None:
    boxes = np.array([[0, 0, 2, 2], [1, 0, 3, 2], [5, 5, 6, 6], [0, 0, 1, 1]], float)
    assert iou(boxes, boxes[0]) == pytest.approx([1, 1 / 3, 0, 1 / 4])


def test_a_median_ignores_one_box_of_five() -> None:
    boxes = np.array([face(500, 300)] * 9)
    boxes[4] += 100
    assert smooth(boxes) == pytest.approx(np.array([face(500, 300)[:4]] * 9))
    assert smooth(boxes[:1]).shape == (1, 4)


def test_faces_are_linked_through_gaps_and_crossings_of_size() -> None:
    left, right = [face(300 + 5 * i, 300) for i in range(10)], [face(900 - 5 * i, 300, 100) for i in range(10)]
    found = [(i / 5, np.array([a, b])) for i, (a, b) in enumerate(zip(left, right, strict=True))]
    found[4] = (0.8, found[4][1][1:])
    tracks = link(found)
    assert [len(one) for one in tracks] == [9, 10]
    assert tracks[0][0][1][0] == pytest.approx(200)


@pytest.mark.parametrize(("gap_s", "count"), [(1.0, 1), (1.4, 2)])
def test_a_face_that_was_away_for_long_is_another(gap_s: float, count: int) -> None:
    found = [(time_s, np.array([face(300, 300)])) for time_s in (0.0, 0.2, 0.2 + gap_s, 0.4 + gap_s)]
    assert len(link(found)) == count


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
    assert crop_box(crop, 1280, 720) == expected
