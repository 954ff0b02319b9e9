"""The mark is in every frame, legible on any ground, and small."""

import numpy as np
import pytest

from disenttalk_ref.render import watermark


@pytest.mark.parametrize("ground", [0, 90, 127, 255])
def test_the_mark_reads_on_any_ground_and_covers_little(ground: int):
    frames = [np.full((256, 256, 3), ground, np.uint8) for _ in range(3)]
    marked = list(watermark.draw(frames))
    change = np.abs(marked[0].astype(int) - ground).max(2)
    assert marked[0][..., 0].max() - int(marked[0][230:, :90, 0].min()) >= 60
    assert 0.002 < (change > 20).mean() < 0.03
    assert not change[:230].any()
    assert not change[:, 100:].any()
    assert all(np.array_equal(marked[0], other) for other in marked[1:])
    assert (frames[0] == ground).all()


@pytest.mark.parametrize("size", [(32, 48), (64, 64), (480, 854), (1080, 1920)])
def test_it_fits_frames_of_any_size_and_grows_with_them(size: tuple[int, int]):
    (marked,) = watermark.draw([np.zeros((*size, 3), np.uint8)])
    rows, columns = np.nonzero(marked.max(2) > 40)
    assert marked.shape == (*size, 3)
    assert len(rows) > 0
    assert 0.02 * size[0] < np.ptp(rows) < 0.3 * size[0]
    assert np.ptp(columns) < 0.95 * size[1]
