"""LPIPS against the package's own call, on made-up convolutions; and its published example, where the weights are."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmark import perceptual
from benchmark.footage import Footage, Unscored
from benchmark.metrics.lpips import Metric
from benchmark.metrics.lpips_consecutive import Metric as Consecutive
from chdtf.alexnet import SHAPES

LPIPS, CONSECUTIVE = Metric(), Consecutive()


@pytest.fixture(scope="module")
def model() -> Any:
    """The network with random convolutions."""
    generator = torch.Generator().manual_seed(0)
    trunk = {}
    for layer, shape in SHAPES.items():
        trunk[f"{layer}.weight"] = torch.randn(shape, generator=generator) / np.prod(shape[1:]) ** 0.5
        trunk[f"{layer}.bias"] = torch.randn(shape[:1], generator=generator) / 10
    return perceptual.build(trunk)


def clip(seed: int, count: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 64, 64, 3), dtype=np.uint8)


def by_package(model: Any, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The package's own forward pass, pair by pair, on what its `im2tensor` makes of an image."""
    found = []
    with torch.inference_mode():
        for pair in zip(first, second, strict=True):
            tensors = [torch.from_numpy(image / 127.5 - 1).permute(2, 0, 1)[None].float() for image in pair]
            found.append(float(model(*tensors)))
    return np.array(found)


def test_both_curves_are_what_the_package_gives_pair_by_pair(footage: Callable[..., Footage], model: Any):
    """Over batches of eight, with an offset, and with a reference of another length."""
    ours, theirs = clip(0, 19), clip(1, 18)
    late, reference = footage(ours, start_frame=3), footage(theirs)
    expected = by_package(model, ours[:15], theirs[3:])
    np.testing.assert_allclose(LPIPS.measure(late, reference, model), expected, rtol=1e-4)
    values = CONSECUTIVE.measure(late, reference, model)
    assert values.shape == (19, 2)
    assert np.isnan(values[0]).all()
    np.testing.assert_allclose(values[1:, 0], by_package(model, ours[1:], ours[:-1]), rtol=1e-4)
    np.testing.assert_allclose(values[1:15, 1], by_package(model, theirs[4:], theirs[3:-1]), rtol=1e-4)
    assert np.isnan(values[15:, 1]).all()


def test_a_frame_goes_through_the_network_once_for_both_metrics(footage: Callable[..., Footage], model: Any):
    seen = []
    handle = model.net.register_forward_hook(lambda module, given, result: seen.append(len(given[0])))
    generated, reference = footage(clip(0, 10)), footage(clip(1, 10))
    LPIPS.measure(generated, reference, model)
    CONSECUTIVE.measure(generated, reference, model)
    assert sum(seen) == 20
    LPIPS.measure(generated, footage(clip(2, 10)), model)  # another reference is measured anew
    assert sum(seen) == 40
    handle.remove()


def test_a_frozen_picture_has_no_consecutive_lpips_and_is_not_best(footage: Callable[..., Footage], model: Any):
    moving = clip(3, 6)
    frozen = CONSECUTIVE.measure(footage(np.repeat(moving[:1], 6, axis=0)), footage(moving), model)
    assert CONSECUTIVE.clip_value(frozen) == pytest.approx(0, abs=1e-9)
    truth = CONSECUTIVE.measure(footage(moving), footage(moving), model)
    distances = [CONSECUTIVE.details(values)["distance_to_reference"] for values in (frozen, truth)]
    assert distances[1] == 0
    assert distances[0] == pytest.approx(CONSECUTIVE.clip_value(truth), rel=1e-9)
    assert CONSECUTIVE.higher_is_better is None


def test_without_a_reference_there_is_a_curve_and_no_distance(footage: Callable[..., Footage], model: Any):
    values = CONSECUTIVE.measure(footage(clip(0, 4)), None, model)
    assert np.isfinite(values[1:, 0]).all()
    assert set(CONSECUTIVE.details(values)) == {"standard_deviation"}
    with pytest.raises(Unscored, match="no_reference"):
        LPIPS.measure(footage(clip(0, 4)), None, model)
    with pytest.raises(Unscored, match="too_short: 1 frame"):
        CONSECUTIVE.measure(footage(clip(0, 1)), None, model)


def test_the_number_of_threads_changes_no_bit_and_is_left_as_it_was(footage: Callable[..., Footage], model: Any):
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.append(LPIPS.measure(footage(clip(0, 9)), footage(clip(1, 9)), model))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(*found)


def test_absent_and_wrong_weights_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DISENTBENCH_WEIGHTS", str(tmp_path))
    for metric in (LPIPS, CONSECUTIVE):
        with pytest.raises(Unscored, match=r"weights_missing: alexnet-owt-7be5be79\.pth; run: disentbench"):
            metric.load()
    (tmp_path / "alexnet_features.pth").write_bytes(b"something else")
    with pytest.raises(Unscored, match=r"weights_mismatch: alexnet_features\.pth: sha256 is"):
        LPIPS.load()


def test_the_published_example(shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """ex_ref against ex_p0 and ex_p1 of the package: 0.722 and 0.138."""
    from PIL import Image

    (tmp_path / "alexnet_features.pth").symlink_to(shared / "weights" / "alexnet_features.pth")
    monkeypatch.setenv("DISENTBENCH_WEIGHTS", str(tmp_path))
    network = LPIPS.load()
    images = [np.asarray(Image.open(shared / "data" / "lpips" / f"ex_{name}.png")) for name in ("ref", "p0", "p1")]
    reference, first, second = (perceptual.features(network, image[None]) for image in images)
    assert perceptual.distances(network, reference, first) == pytest.approx(0.7219, abs=1e-4)
    assert perceptual.distances(network, reference, second) == pytest.approx(0.1376, abs=1e-4)
    assert perceptual.distances(network, reference, reference) == 0
