"""LSE-C end to end with generated weights, and what tables need to know of it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmark import lip_sync
from benchmark.footage import Footage
from benchmark.metrics import av_offset, lse_c, lse_d
from chdtf import weights


@pytest.mark.slow
def test_with_weights_a_face_is_tracked_cropped_and_scored(
    tmp_path: Path, photo: np.ndarray, footage: Callable[..., Footage], monkeypatch: pytest.MonkeyPatch
) -> None:
    from syncnet_python import SyncNetModel

    torch.manual_seed(0)
    path = tmp_path / "syncnet_v2.model"
    torch.save(SyncNetModel().state_dict(), path)
    entry = weights.WEIGHTS["syncnet_v2"]
    monkeypatch.setattr(weights, "check", lambda name: weights.WeightsStatus(entry, path, "ok"))
    waveform = np.random.default_rng(0).uniform(-0.3, 0.3, 22 * 640).astype(np.float32)
    clip: Any = footage(np.stack([np.roll(photo, shift, axis=1) for shift in range(22)]), waveform)
    model = lse_c.Metric().load()
    confidence, distance, offset = lse_c.Metric().measure(clip, None, model)[0]
    assert confidence > 0
    assert distance > 0
    assert -15 <= offset <= 15
    assert lse_d.Metric().measure(clip, None, lse_d.Metric().load())[0, 0] == distance
    assert av_offset.Metric().measure(clip, None, av_offset.Metric().load())[0, 0] == offset
    lip_sync._loaded.cache_clear()


def test_higher_is_better_and_one_is_the_floor_of_ground_truth() -> None:
    metric = lse_c.Metric()
    assert metric.heading == "LSE-C ↑"
    assert metric.truth_floor == 1.0
    assert metric.all_or_none, "a set with an unscored clip has no value"
    values = np.array([[7.5, 6.5, -1.0]])
    assert metric.clip_value(values) == 7.5
    assert metric.details(values) == {"lse_d": 6.5, "offset_frames": -1.0}
