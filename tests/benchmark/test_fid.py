"""FID: the distance equals an independent implementation, the network equals torchvision's with FID's patches."""

import dataclasses
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg
from torch.nn import functional

from benchmark import inception
from benchmark.footage import Footage, Unscored
from benchmark.metrics.fid import Metric, frechet_distance, packed, unpacked
from chdtf import weights

FID = Metric()
AVERAGE_POOL = functional.avg_pool2d


def by_matrix_root(a: np.ndarray, b: np.ndarray) -> float:
    """The formula as it is printed, with scipy's root of the product of covariances."""
    root = linalg.sqrtm(np.cov(a, rowvar=False) @ np.cov(b, rowvar=False)).real
    traces = np.trace(np.cov(a, rowvar=False)) + np.trace(np.cov(b, rowvar=False))
    return float(((a.mean(axis=0) - b.mean(axis=0)) ** 2).sum() + traces - 2 * np.trace(root))


def sample(count: int, dims: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    return (random.normal(size=(count, dims)) @ random.normal(size=(dims, dims)) + random.normal(size=dims)).astype(
        np.float32
    )


@given(st.integers(20, 60), st.integers(20, 60), st.integers(2, 12), st.integers(0, 2**31), st.integers(1, 19))
@settings(max_examples=25, deadline=None)
def test_equals_the_formula_however_the_frames_are_spread_over_clips(
    ours: int, theirs: int, dims: int, seed: int, cut: int
):
    a, b = sample(ours, dims, seed), sample(theirs, dims, seed + 1)
    whole = frechet_distance([a], [b])
    assert whole == pytest.approx(by_matrix_root(a.astype(np.float64), b.astype(np.float64)), rel=1e-5, abs=1e-5)
    assert frechet_distance([a[cut:], a[:cut]], [b[:cut], b[cut:]]) == pytest.approx(whole, rel=1e-9, abs=1e-9)
    assert frechet_distance([b], [a]) == pytest.approx(whole, rel=1e-9, abs=1e-9)
    assert 0 <= frechet_distance([a], [a]) < 1e-9
    with_a_constant = [[np.column_stack([side, np.full(len(side), 7)])] for side in (a, b)]
    assert frechet_distance(*with_a_constant) == pytest.approx(whole, rel=1e-6, abs=1e-6)


def test_few_frames_lack_rank_and_are_exact_all_the_same():
    """Gaussians along the same axes: the distance of spreads s and t is (s - t)^2, and here rank is 3 of 50."""
    random = np.random.default_rng(0)
    axes = np.linalg.qr(random.normal(size=(50, 3)))[0].T
    scores = np.linalg.qr(random.normal(size=(9, 3)) - random.normal(size=(9, 3)).mean(axis=0))[0]
    scores = np.linalg.qr(scores - scores.mean(axis=0))[0] * np.sqrt(8)  # covariance is the identity
    a, b = scores * [1, 2, 3] @ axes, scores * [2, 2, 5] @ axes + 4 * axes[0]
    assert frechet_distance([a], [b]) == pytest.approx(1 + 0 + 4 + 16, rel=1e-9)
    assert frechet_distance([a], [a]) == pytest.approx(0, abs=1e-9)
    assert np.isnan(frechet_distance([a[:1]], [b]))


@given(st.integers(0, 2**31))
@settings(max_examples=20, deadline=None)
def test_packing_keeps_every_bit(seed: int):
    random = np.random.default_rng(seed)
    features = random.exponential(size=(5, 8)).astype(np.float32) * (random.uniform(size=(5, 8)) > 0.4)
    values = packed(features, True)
    assert values.dtype == np.float64
    assert values.shape == (5, 5)
    assert np.isfinite(values).all()
    np.testing.assert_array_equal(unpacked(values[:, 1:]), features)


@pytest.fixture(scope="module")
def network() -> inception.Inception:
    """Inception with generated weights that keep numbers of ordinary size through all layers."""
    torch.manual_seed(0)
    made = inception.Inception()
    for module in made.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -0.1, 0.1)
            torch.nn.init.uniform_(module.bias, -0.1, 0.3)
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight)
    return made.eval()


@pytest.fixture(scope="module")
def torchvision_blocks() -> Any:
    """torchvision's blocks; beside a torch without its operators it imports only when those are declared."""
    for name in ("nms", "qnms"):
        if not hasattr(torch.ops.torchvision, name):
            torch.library.define(f"torchvision::{name}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return pytest.importorskip("torchvision.models.inception")


def patched(blocks: Any, state: dict[str, torch.Tensor]) -> torch.nn.Module:
    """What pytorch-fid builds: torchvision's network whose pooling branches are replaced."""
    made = blocks.Inception3(num_classes=1008, aux_logits=False, init_weights=False)
    made.load_state_dict(state, strict=False)

    def average(x: torch.Tensor, **how: Any) -> torch.Tensor:
        return AVERAGE_POOL(x, kernel_size=3, stride=1, padding=1, count_include_pad=False)

    def maximum(x: torch.Tensor, **how: Any) -> torch.Tensor:
        return functional.max_pool2d(x, kernel_size=3, stride=1, padding=1)

    for name, block in made.named_children():
        if name.startswith("Mixed") and hasattr(block, "branch_pool"):
            pool = maximum if name == "Mixed_7c" else average
            inner = block._forward

            def forward(x: torch.Tensor, inner: Callable = inner, pool: Callable = pool) -> torch.Tensor:
                with pytest.MonkeyPatch.context() as patch:
                    patch.setattr(blocks.F, "avg_pool2d", pool)
                    return torch.cat(inner(x), 1)

            block.forward = forward
    made.fc, made.dropout = torch.nn.Identity(), torch.nn.Identity()
    return made.eval()


def test_the_network_is_pytorch_fids(network: inception.Inception, torchvision_blocks: Any, photo: np.ndarray):
    frames = np.stack([photo, photo[:, ::-1]])
    other = patched(torchvision_blocks, network.state_dict())
    x = torch.from_numpy(frames.transpose(0, 3, 1, 2) / np.float32(255))
    x = 2 * functional.interpolate(x, size=(299, 299), mode="bilinear", align_corners=False) - 1
    with torch.inference_mode():
        expected = other(x).numpy()
    found = inception.features(network, frames)
    assert found.shape == (2, 2048)
    assert expected.std() > 0.01
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


class ThreeNumbers(torch.nn.Module):
    """Stands for the network: the mean of each channel, and their sum."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean = x.mean(dim=(2, 3))
        return torch.cat([mean, mean.sum(dim=1, keepdim=True)], dim=1)


def test_a_set_is_measured_over_the_frames_of_all_clips(footage: Callable[..., Footage]):
    random = np.random.default_rng(0)
    clips = [
        (random.integers(0, 200, (ours, 1, 1, 3)), random.integers(40, 255, (theirs, 1, 1, 3)))
        for ours, theirs in ((20, 21), (33, 31))
    ]
    made = [[footage(np.broadcast_to(s, (len(s), 8, 8, 3)).astype(np.uint8)) for s in clip] for clip in clips]
    arrays = [FID.measure(ours, theirs, ThreeNumbers()) for ours, theirs in made]

    def side(index: int) -> np.ndarray:
        means = np.concatenate([clip[index] for clip in clips]).reshape(-1, 3) / 127.5 - 1
        return np.column_stack([means, means.sum(axis=1)])

    a, b = side(0), side(1)
    expected = ((a.mean(axis=0) - b.mean(axis=0)) ** 2).sum()
    f, g = ((s - s.mean(axis=0)) / np.sqrt(len(s) - 1) for s in (a, b))
    expected += (f**2).sum() + (g**2).sum() - 2 * np.linalg.svd(f @ g.T, compute_uv=False).sum()
    assert FID.reduce(arrays) == pytest.approx(expected, rel=1e-4)
    assert FID.details(arrays[0]) == {"frames": 20, "reference_frames": 21}
    assert FID.note(arrays) == "52 frames, fewer than 2048: biased upwards"
    copy = FID.measure(made[0][1], made[0][1], ThreeNumbers())
    assert FID.reduce([copy]) == pytest.approx(0, abs=1e-6)
    with pytest.raises(Unscored, match="no_reference"):
        FID.measure(made[0][0], None, ThreeNumbers())


def test_weights_are_asked_for_and_read_by_their_names(
    network: inception.Inception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, photo: np.ndarray
):
    monkeypatch.setenv("DISENTBENCH_WEIGHTS", str(tmp_path))
    with pytest.raises(Unscored, match=r"weights_missing: pt_inception-2015-12-05-6726825d\.pth"):
        FID.load()
    path = tmp_path / weights.get_weights("inception_fid").filename
    torch.save(network.state_dict() | {"fc.weight": torch.zeros(1008, 2048), "fc.bias": torch.zeros(1008)}, path)
    with pytest.raises(Unscored, match=r"weights_mismatch: .*sha256 is"):
        FID.load()
    entry = dataclasses.replace(
        weights.get_weights("inception_fid"), sha256=hashlib.sha256(path.read_bytes()).hexdigest()
    )
    monkeypatch.setattr(weights, "get_weights", lambda name, registry=None: entry)
    ours = photo[None]
    np.testing.assert_array_equal(inception.features(FID.load(), ours), inception.features(network, ours))
