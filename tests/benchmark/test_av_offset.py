"""AV offset: sign, direction, and the mean of a set; its numbers are LSE-C's (test_lip_sync.py)."""

import numpy as np

from benchmark.metrics.av_offset import Metric


def test_best_is_the_ground_truths_own() -> None:
    metric = Metric()
    assert metric.heading == "AV offset [frames] →GT"
    assert metric.all_or_none, "a set with an unscored clip has no value"
    values = np.array([[-2.0, 7.5, 6.5]])
    assert metric.clip_value(values) == -2.0
    assert metric.details(values) == {"lse_c": 7.5, "lse_d": 6.5}
    assert metric.reduce([values, np.array([[3.0, 7.0, 6.0]])]) == 0.5
