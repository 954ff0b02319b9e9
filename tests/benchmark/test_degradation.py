"""Blur, noise and compression move every image metric the right way, strictly, on frames of the bundled sample."""

import functools
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from benchmark import perceptual
from benchmark.footage import Footage
from benchmark.metric import MetricBase, get_metric
from chdtf import media
from chdtf.alexnet import read_features
from chdtf.sample import draw
from chdtf.sample.plan import PLAN

REFERENCE_METRICS = ("psnr", "ssim", "lpips")


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    """Three frames of a drawn video, uint8 (3, 256, 256, 3)."""
    video = next(video for video in PLAN if video.video_id == "hopper_de_bakery")
    drawn = itertools.islice(draw.images(video), 0, 6, 2)
    return np.stack([cv2.resize(frame, (256, 256), interpolation=cv2.INTER_AREA) for frame in drawn])


@pytest.fixture(scope="module")
def degraded(frames: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[np.ndarray]]:
    """The frames, from good to bad, in three ways."""
    noise = np.random.default_rng(0).standard_normal(frames.shape)
    path = tmp_path_factory.mktemp("coded") / "clip.mp4"

    def coded(crf: int) -> np.ndarray:
        media.write_video(path, frames, crf=crf)
        return np.stack(list(media.frames(path)))

    return {
        "blur": [np.stack([cv2.GaussianBlur(frame, (0, 0), sigma) for frame in frames]) for sigma in (0.5, 1, 3)],
        "noise": [np.clip(np.round(frames + sigma * noise), 0, 255).astype(np.uint8) for sigma in (2, 8, 32)],
        "compression": [coded(crf) for crf in (20, 30, 40)],
    }


@pytest.fixture
def score(footage: Callable[..., Footage], request: pytest.FixtureRequest) -> Callable[..., float]:
    """Value of a metric, by its name, on frames against reference frames."""

    def measured(name: str, generated: np.ndarray, reference: np.ndarray) -> float:
        metric: MetricBase = get_metric(name)
        model = request.getfixturevalue("network") if metric.weights else None
        return metric.clip_value(metric.measure(footage(generated), footage(reference), model))

    return measured


@pytest.fixture(scope="module")
def network(shared: Path) -> Any:
    return _network(shared / "weights" / "alexnet_features.pth")


@functools.lru_cache(maxsize=1)
def _network(path: Path) -> Any:
    return perceptual.build(read_features(path))


@pytest.mark.parametrize("name", REFERENCE_METRICS)
@pytest.mark.parametrize("way", ["blur", "noise", "compression"])
def test_the_worse_the_frames_the_worse_the_value(
    score: Callable[..., float], frames: np.ndarray, degraded: dict[str, list[np.ndarray]], name: str, way: str
):
    values = np.array([score(name, made, frames) for made in [frames, *degraded[way]]])
    falls = np.diff(values) < 0 if get_metric(name).higher_is_better else np.diff(values) > 0
    assert falls.all(), values


@pytest.mark.parametrize("way", ["blur", "compression"])
def test_blur_and_compression_lower_cpbd(
    score: Callable[..., float], frames: np.ndarray, degraded: dict[str, list[np.ndarray]], way: str
):
    values = [score("cpbd", made, frames) for made in [frames, *degraded[way]]]
    assert (np.diff(values) < 0).all(), values


def test_cpbd_takes_noise_for_sharpness(
    score: Callable[..., float], frames: np.ndarray, degraded: dict[str, list[np.ndarray]]
):
    """A limit of the measure itself, which docs/metrics.md names: each grain is a sharp edge."""
    values = [score("cpbd", made, frames) for made in [frames, *degraded["noise"]]]
    assert (np.diff(values) > 0).all(), values


@pytest.mark.parametrize(("name", "best"), [("psnr", np.inf), ("ssim", 1.0), ("lpips", 0.0)])
def test_a_perfect_copy_is_best_and_either_way_round_is_the_same(
    score: Callable[..., float], frames: np.ndarray, degraded: dict[str, list[np.ndarray]], name: str, best: float
):
    assert score(name, frames, frames.copy()) == best
    worse = degraded["blur"][1]
    assert score(name, frames, worse) == pytest.approx(score(name, worse, frames), rel=1e-6)


@pytest.mark.parametrize("name", ["psnr", "ssim"])
def test_a_mirrored_pair_and_another_order_of_frames_change_nothing(
    score: Callable[..., float], frames: np.ndarray, degraded: dict[str, list[np.ndarray]], name: str
):
    made, order = degraded["compression"][2], [2, 0, 1]
    value = score(name, made, frames)
    assert score(name, made[:, :, ::-1], frames[:, :, ::-1]) == pytest.approx(value, rel=1e-9)
    assert score(name, made[order], frames[order]) == pytest.approx(value, rel=1e-12)


def test_a_mirrored_pair_has_nearly_the_same_lpips(
    score: Callable[..., float], frames: np.ndarray, degraded: dict[str, list[np.ndarray]]
):
    """Learned filters are not symmetric: a tenth at most."""
    made = degraded["compression"][2]
    mirrored = score("lpips", made[:, :, ::-1], frames[:, :, ::-1])
    assert mirrored == pytest.approx(score("lpips", made, frames), rel=0.1)
