from collections.abc import Callable

import cv2
import numpy as np
import pytest

from benchmark.footage import Footage, Unscored
from benchmark.metrics.ssim import Metric


def by_formula(a: np.ndarray, b: np.ndarray) -> float:
    """Eq. 13 of Wang et al. 2004 with moments weighted by an 11x11 Gaussian, where the whole window fits."""
    x, y = a.astype(float), b.astype(float)
    offsets = np.arange(-5, 6)
    taps = np.exp(-(offsets**2) / (2 * 1.5**2))
    window = np.outer(taps, taps) / taps.sum() ** 2

    def mean(values: np.ndarray) -> np.ndarray:
        patches = np.lib.stride_tricks.sliding_window_view(values, (11, 11))
        return np.einsum("ijkl,kl->ij", patches, window)

    mx, my = mean(x), mean(y)
    vx, vy, vxy = mean(x * x) - mx**2, mean(y * y) - my**2, mean(x * y) - mx * my
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    return float(((2 * mx * my + c1) * (2 * vxy + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))).mean())


def noisy(photo: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, 20, photo.shape)
    return np.clip(photo + noise, 0, 255).astype(np.uint8)


def test_it_is_the_papers_formula_on_grey(footage: Callable[..., Footage], photo: np.ndarray):
    other = noisy(photo)
    grey = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (photo, other)]
    value = Metric().measure(footage(other[None]), footage(photo[None]), None)
    assert value == pytest.approx([by_formula(*grey)], abs=1e-9)


def test_flat_frames_differ_by_their_means_alone(footage: Callable[..., Footage]):
    """A planted value: without contrast SSIM is the luminance term."""
    ours, theirs = (np.full((1, 32, 32, 3), level, np.uint8) for level in (100, 150))
    c1 = (0.01 * 255) ** 2
    expected = (2 * 100 * 150 + c1) / (100**2 + 150**2 + c1)
    for variant in ("wang2004", "uniform"):
        assert Metric(variant).measure(footage(ours), footage(theirs), None) == pytest.approx([expected])


def test_the_other_variant_is_named_and_gives_other_numbers(footage: Callable[..., Footage], photo: np.ndarray):
    pair = footage(noisy(photo)[None]), footage(photo[None])
    assert abs(Metric().measure(*pair, None) - Metric("uniform").measure(*pair, None))[0] > 0.005
    with pytest.raises(ValueError, match="variant 'gaussian': use wang2004 or uniform"):
        Metric("gaussian")


def test_frames_are_paired_by_the_declared_offset_then_thinned(footage: Callable[..., Footage]):
    frames = np.random.default_rng(0).integers(0, 256, (9, 16, 16, 3), dtype=np.uint8)
    late = footage(frames[2:], start_frame=2)
    np.testing.assert_array_equal(Metric().measure(late, footage(frames), None), np.ones(7))
    assert len(Metric(frame_step=5).measure(late, footage(frames), None)) == 2
    with pytest.raises(Unscored, match="no_reference"):
        Metric().measure(late, None, None)
