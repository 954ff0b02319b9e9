"""LSE-D: what tables need to know of it; its numbers are LSE-C's (test_lip_sync.py)."""

import numpy as np

from benchmark.metrics.lse_d import Metric


def test_lower_is_better() -> None:
    metric = Metric()
    assert metric.heading == "LSE-D ↓"
    assert metric.truth_floor is None
    assert metric.all_or_none, "a set with an unscored clip has no value"
    values = np.array([[6.5, 7.5, -1.0]])
    assert metric.clip_value(values) == 6.5
    assert metric.details(values) == {"lse_c": 7.5, "offset_frames": -1.0}
