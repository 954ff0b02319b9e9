"""CPBD against a pixel-by-pixel reading of the algorithm, and against edges whose width is planted."""

import itertools
import math
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import convolve
from skimage.feature import canny as canny_by_level

from benchmark import sharpness as module
from benchmark.footage import Footage
from benchmark.metrics.cpbd import Metric
from benchmark.metrics.cpbd_unit_luma import Metric as UnitLuma
from benchmark.sharpness import cpbd, sobel_edges


def edge_widths(image: np.ndarray) -> np.ndarray:
    """Widths where the edges are, 0 elsewhere."""
    rows, columns, widths = module.edge_widths(image.astype(np.int16), sobel_edges(image))
    out = np.zeros(image.shape, int)
    out[rows, columns] = widths
    return out


def walk(row: np.ndarray, start: int, direction: int, sign: int) -> int:
    """Pixels from `start` on along which the grey level goes on rising (sign 1) or falling (-1), at most 101."""
    levels = row.astype(float) * sign
    count = 1
    while count < 101 and 0 <= start + direction < len(row) and levels[start + direction] > levels[start]:
        start += direction
        count += 1
    return count


def widths_by_pixel(image: np.ndarray) -> np.ndarray:
    """Edge widths by visiting pixels one by one, with angles in degrees."""
    out = np.zeros(image.shape, int)
    grey = image.astype(float)
    edges = sobel_edges(image)
    for m in range(1, image.shape[0] - 1):
        for n in range(1, image.shape[1] - 1):
            if not edges[m, n]:
                continue
            across, down = (grey[m, n + 1] - grey[m, n - 1]) / 2, (grey[m + 1, n] - grey[m - 1, n]) / 2
            angle = 45 * round(math.degrees(math.atan2(down, across)) / 45) if across else 0
            if angle == 0:
                out[m, n] = walk(image[m], n + 1, 1, 1) + walk(image[m], n - 1, -1, -1)
            elif abs(angle) == 180:
                out[m, n] = walk(image[m], n - 1, -1, 1) + walk(image[m], n + 1, 1, -1)
    return out


def ramps(run_px: int, low: int, high: int) -> np.ndarray:
    """Grey (128, 128): one vertical edge per 64 px block, over `run_px` even steps, rising left and falling right."""
    row = np.interp(np.arange(64), [30, 30 + run_px], [low, high])
    return np.tile(np.round(np.concatenate([row, row[::-1]])).astype(np.uint8), (128, 1))


@given(st.integers(0, 2**31), st.sampled_from([0, 1, 3]), st.integers(2, 256))
@settings(max_examples=30, deadline=None)
def test_widths_equal_those_found_pixel_by_pixel(seed: int, blur: int, levels: int):
    image = np.random.default_rng(seed).integers(0, levels, (24, 150)).astype(np.uint8)
    if blur:
        image = cv2.GaussianBlur(image, (0, 0), blur)
    np.testing.assert_array_equal(edge_widths(image), widths_by_pixel(image))


def test_an_edge_is_followed_for_at_most_101_pixels_to_either_side():
    image = np.tile(np.arange(255, dtype=np.uint8), (5, 1))
    image[:, 127:] += 1  # a step of 2 in a ramp of 1
    image[:, 128:] = np.minimum(image[:, 128:].astype(int) + 8, 255).astype(np.uint8)
    widths = edge_widths(image)
    assert widths.max() == 202


@pytest.mark.parametrize(("low", "high", "jnb"), [(60, 110, 5), (60, 111, 3), (20, 220, 3)])
def test_a_planted_edge_is_sharp_up_to_the_just_noticeable_width(low: int, high: int, jnb: int):
    """Width equal to w_JNB gives P = 0.632, bin 63, which still counts as sharp; one pixel more does not."""
    for run_px in range(2, 8):
        image = ramps(run_px, low, high)
        widths = edge_widths(image)
        assert set(np.unique(widths)) == {0, run_px}
        assert cpbd(image) == (1.0 if run_px <= jnb else 0.0)


def test_flat_images_have_no_sharpness():
    for level in (0, 128, 255):
        assert cpbd(np.full((256, 256), level, np.uint8)) == 0.0


def test_unit_range_is_refused():
    with pytest.raises(ValueError, match=r"float64 up to 0\.9.*multiply by 255"):
        cpbd(np.full((64, 64), 0.9))


def test_floats_in_0_255_equal_bytes(photo: np.ndarray):
    grey = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)
    assert cpbd(grey.astype(np.float64) + 0.2) == cpbd(grey)


def test_blur_lowers_it(photo: np.ndarray):
    grey = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)
    values = [cpbd(grey)] + [cpbd(cv2.GaussianBlur(grey, (0, 0), sigma)) for sigma in (0.6, 1.0, 2.0, 4.0)]
    assert values == sorted(values, reverse=True)
    assert values[0] > 0.3
    assert values[-1] < 0.02


def test_blocks_with_too_few_canny_edges_do_not_count(monkeypatch: pytest.MonkeyPatch):
    sharp, soft = ramps(2, 20, 220)[:64, :64], ramps(7, 20, 220)[:64, 64:]
    image = np.hstack([sharp, soft])
    both = cpbd(image)
    for count, expected in ((8, 1.0), (9, both)):  # more than 0.002 x 4096 = 8.2 are needed

        def gate(image: np.ndarray, count: int = count) -> np.ndarray:
            edges = np.zeros(image.shape, bool)
            edges[:, 10] = True
            edges[:count, 100] = True
            return edges

        monkeypatch.setattr(module, "canny", gate)
        assert cpbd(image) == expected
    assert 0 < both < 1


def test_frames_are_measured_on_their_luma(footage: Callable[..., Footage], photo: np.ndarray):
    grey = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)
    values = Metric().measure(footage(np.stack([photo, np.zeros_like(photo)])), None, None)
    np.testing.assert_array_equal(values, [cpbd(grey), 0.0])


def test_every_nth_frame(footage: Callable[..., Footage], photo: np.ndarray):
    frames = np.stack([photo] * 7)
    assert len(Metric(frame_step=3).measure(footage(frames), None, None)) == 3


# the port on PyPI, and what becomes of it on luma in [0, 1]


def pypi_by_pixel(levels: np.ndarray) -> float:
    """The package's reading, pixel by pixel: where it differs from `widths_by_pixel`, and its histogram."""
    strength = convolve(levels, np.array([[1, 0, -1], [2, 0, -2], [1, 0, -1]]) / 8) ** 2
    strength[strength <= 2 * np.sqrt(strength.mean())] = 0
    padded = np.pad(strength, 1)
    gate = canny_by_level(levels)
    bins = np.zeros(101)
    for m, n in itertools.product(range(1, levels.shape[0] - 1), range(1, levels.shape[1] - 1)):
        here, around = strength[m, n], padded[m : m + 3, n : n + 3]
        if not (max(around[1, 0], around[1, 2]) < here or max(around[0, 1], around[2, 1]) < here):
            continue
        across, down = levels[m, n + 1] - levels[m, n - 1], levels[m + 1, n] - levels[m - 1, n]
        angle = 45 * round(math.degrees(math.atan2(down, across)) / 45) if across else 0
        rows, columns = (slice(64 * (at // 64), 64 * (at // 64) + 64) for at in (m, n))
        if abs(angle) not in (0, 180) or gate[rows, columns].sum() <= 0.002 * 64**2:
            continue
        sign = 1 if angle == 0 else -1
        width = sum(walk(levels[m], n + side, side, sign * side) for side in (1, -1))
        contrast = int(levels[rows, columns].max() - levels[rows, columns].min())
        bins[round(100 * (1 - math.exp(-((width / (5 if contrast <= 50 else 3)) ** 3.6))))] += 1
    return bins[:64].sum() / max(bins.sum(), 1)


def test_the_port_is_read_pixel_by_pixel(photo: np.ndarray):
    grey = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)[64:192, 64:192]
    for levels in (grey.astype(float), grey / 255.0):
        assert module.cpbd_pypi(levels) == pytest.approx(pypi_by_pixel(levels), abs=1e-12)


def test_unit_luma_loses_edges_and_contrast(photo: np.ndarray, footage: Callable[..., Footage]):
    """An edge over four pixels: blurred at a contrast of 255, and sharp where every contrast counts as low."""
    row = np.concatenate([np.full(30, 0), [25, 128, 230], np.full(31, 255)])
    image = np.tile(np.concatenate([row, row[::-1]]).astype(np.uint8), (128, 1))
    assert set(np.unique(edge_widths(image))) == {0, 4}
    assert cpbd(image) == 0
    assert module.cpbd_pypi(image.astype(float)) == 0
    assert module.cpbd_pypi(image / 255.0) == 1
    value = UnitLuma().measure(footage(photo[None]), None, None)[0]
    grey = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)
    assert value == module.cpbd_pypi(grey / 255.0)
    assert abs(module.cpbd_pypi(grey.astype(float)) - cpbd(grey)) < 0.05  # ports differ a little, readings a lot
    assert value > cpbd(grey) + 0.2
    assert UnitLuma.variant_of == "cpbd"


def test_flat_and_purely_rising_images_have_no_value_in_the_port():
    assert module.cpbd_pypi(np.full((128, 128), 0.5)) == 0
    assert module.cpbd_pypi(np.tile(np.repeat([0.0, 1.0], 64), (128, 1))) == 0  # its angles are all 0


def test_the_port_equals_the_package(photo: np.ndarray, monkeypatch: pytest.MonkeyPatch):
    """Runs where the package is installed (`pip install --no-deps cpbd==1.0.7`)."""
    monkeypatch.setattr("scipy.ndimage.imread", None, raising=False)  # its command line alone uses it
    compute = pytest.importorskip("cpbd.compute", reason="the package cpbd 1.0.7 is not installed").compute
    grey = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)
    for levels in (grey, grey / 255.0):
        assert module.cpbd_pypi(levels) == pytest.approx(compute(levels), abs=1e-12)
