from collections.abc import Callable

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio

from benchmark.footage import Footage, Unscored
from benchmark.metrics.psnr import Metric

PSNR = Metric()


def random_frames(seed: int, num_frames: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (num_frames, 32, 24, 3), dtype=np.uint8)


@pytest.mark.parametrize("seed", range(10))
def test_each_frame_equals_scikit_image(footage: Callable[..., Footage], seed: int):
    ours, theirs = random_frames(seed), random_frames(seed + 100)
    expected = [peak_signal_noise_ratio(b, a) for a, b in zip(ours, theirs, strict=True)]
    np.testing.assert_allclose(PSNR.measure(footage(ours), footage(theirs), None), expected, rtol=1e-12)


@pytest.mark.parametrize("difference", [1, 2, 100, 200, 255])
def test_a_planted_difference_is_measured_without_wrap_around(footage: Callable[..., Footage], difference: int):
    low = np.zeros((1, 256, 256, 3), np.uint8)
    for ours, theirs in ((low, low + np.uint8(difference)), (low + np.uint8(difference), low)):
        value = PSNR.measure(footage(ours), footage(theirs), None)[0]
        assert value == pytest.approx(20 * np.log10(255 / difference), abs=1e-9)


def test_an_identical_clip_is_infinite_and_counted(footage: Callable[..., Footage]):
    frames = random_frames(0)
    values = PSNR.measure(footage(frames), footage(frames), None)
    assert PSNR.clip_value(values) == np.inf
    assert PSNR.details(values) == {"infinite_frames": 3.0}
    assert PSNR.reduce([values, values]) == np.inf


def test_infinite_frames_and_clips_stay_out_of_finite_means():
    clip = np.array([np.inf, 20.0, 30.0])
    assert PSNR.clip_value(clip) == 25.0
    assert PSNR.reduce([clip, np.array([np.inf, np.inf]), np.array([35.0])]) == 30.0


def test_a_set_weighs_clips_not_frames():
    assert PSNR.reduce([np.full(100, 10.0), np.full(1, 30.0)]) == 20.0


def test_more_noise_gives_less(footage: Callable[..., Footage], photo: np.ndarray):
    noise = np.random.default_rng(1).standard_normal(photo.shape)
    reference = footage(photo[None])
    noisy = [np.clip(photo + sigma * noise, 0, 255).astype(np.uint8)[None] for sigma in (1, 4, 16, 64)]
    values = [PSNR.clip_value(PSNR.measure(footage(frames), reference, None)) for frames in noisy]
    assert values == sorted(values, reverse=True)
    assert values[1] == pytest.approx(20 * np.log10(255 / 4), abs=0.6)


def test_frames_are_paired_by_the_declared_offset(footage: Callable[..., Footage]):
    frames = random_frames(3, 8)
    late = footage(frames[2:], start_frame=2)
    assert np.isinf(PSNR.measure(late, footage(frames), None)).all()
    assert np.isfinite(PSNR.measure(footage(frames[2:]), footage(frames), None)).all()
    with pytest.raises(Unscored, match="no_common_frames: 6 frames against 8, offset 9"):
        PSNR.measure(footage(frames[2:], start_frame=9), footage(frames), None)
