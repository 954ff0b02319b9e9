import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from benchmark.footage import Footage, Unscored
from benchmark.metrics.fps import Metric

FPS = Metric()


def test_frames_over_the_recorded_seconds_and_pooled_over_clips(footage: Callable[..., Footage]):
    """100 frames in 4 s and 50 in 10 s: 25 and 5 frames per second, together 150 in 14 s."""
    made = [footage(np.zeros((frames, 8, 8, 3), np.uint8)) for frames in (100, 50)]
    timed = [dataclasses.replace(clip, generation_s=s) for clip, s in zip(made, (4.0, 10.0), strict=True)]
    arrays = [FPS.measure(clip, None, None) for clip in timed]
    assert [FPS.clip_value(values) for values in arrays] == [25, 5]
    assert FPS.reduce(arrays) == pytest.approx(150 / 14)
    assert FPS.details(arrays[0]) == {"frames": 100, "generation_s": 4}


@pytest.mark.parametrize("seconds", [None, 0.0])
def test_what_was_not_generated_here_has_none(footage: Callable[..., Footage], seconds: float | None):
    clip = dataclasses.replace(footage(np.zeros((5, 8, 8, 3), np.uint8)), generation_s=seconds)
    with pytest.raises(Unscored, match="not_generated_here"):
        FPS.measure(clip, None, None)
