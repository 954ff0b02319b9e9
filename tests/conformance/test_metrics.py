"""Every module in benchmark/metrics is a metric that keeps the promises of MetricBase."""

import dataclasses
import importlib
import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmark.footage import Footage
from benchmark.metric import MetricBase, Unscored, get_metric, metric_names
from chdtf.errors import UserError
from chdtf.weights import WEIGHTS

REPOSITORY = Path(__file__).resolve().parents[2]
NAMES = metric_names()
PAPER = ("lse_c", "lmd", "blink", "cpbd", "psnr")


@pytest.fixture(scope="module")
def clip() -> Footage:
    """A face that moves and opens its mouth a little, with noise as sound."""
    from skimage import data

    photo = data.astronaut()[:256, 96:352]
    frames = np.stack([np.roll(photo, shift, axis=1) for shift in (0, 1, 2, 3, 2, 1, 0, 1)])
    waveform = np.random.default_rng(0).uniform(-0.3, 0.3, len(frames) * 640).astype(np.float32)
    return Footage(frames, waveform, "raw", "frames", "normalised", generation_s=1.0)


def test_the_papers_metrics_are_there():
    assert set(PAPER) <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_attributes(name: str):
    metric = get_metric(name)
    assert isinstance(metric, MetricBase)
    assert metric.name == name
    assert metric.label
    assert metric.source
    assert metric.higher_is_better in (True, False, None)
    assert metric.needs <= {"reference", "audio", "landmarks"}
    assert set(metric.weights) <= set(WEIGHTS)
    assert metric.version >= 1
    assert metric.heading.endswith(metric.arrow)
    assert dataclasses.fields(metric) is not None
    assert hash(metric) == hash(pickle.loads(pickle.dumps(metric)))
    assert importlib.import_module(f"benchmark.metrics.{name}").Metric.__doc__


@pytest.mark.parametrize("name", NAMES)
def test_a_clip_alone_is_a_set_of_one(name: str, clip: Footage):
    metric = get_metric(name)
    made_up = np.array([[6.0, 7.0, 0.0]])
    if metric.weights and not metric.has_clip_value:
        return  # what it stores is its own affair: its tests look at it
    try:
        values = made_up if metric.weights else metric.measure(clip, clip, metric.load())
    except Unscored:
        assert name == "mouth_open_corr"  # eight frames of a photograph do not speak
        return
    assert values.dtype == np.float64
    assert metric.reduce([values]) == metric.clip_value(values)
    assert all(isinstance(number, float) for number in metric.details(values).values())
    metric.interval([values, values])


def _is_a_distance(metric: MetricBase) -> bool:
    """Whether a copy with other frames must score worse; without a network, and on a face that does nothing."""
    return "reference" in metric.needs and not metric.weights and metric.name not in _OF_WHAT_FACES_DO


_OF_WHAT_FACES_DO = ("blink_gt_distance", "mouth_open_corr")


@pytest.mark.parametrize("name", [name for name in NAMES if _is_a_distance(get_metric(name))])
def test_a_perfect_copy_is_best(name: str, clip: Footage):
    metric = get_metric(name)
    model = metric.load()
    perfect = metric.clip_value(metric.measure(clip, clip, model))
    for worse in (clip.frames[::-1], np.roll(clip.frames, 9, axis=2), np.clip(clip.frames, 60, 180)):
        other = metric.clip_value(metric.measure(Footage(worse, None, "", "", ""), clip, model))
        assert other < perfect if metric.higher_is_better else other > perfect
    with pytest.raises(Unscored, match="no_reference"):
        metric.measure(clip, None, model)


@pytest.mark.parametrize("name", NAMES)
def test_documented(name: str):
    text = (REPOSITORY / "docs" / "metrics.md").read_text(encoding="utf-8")
    assert re.search(rf"^## .*`{name}`", text, re.MULTILINE)


def test_metrics_import_nothing_heavy():
    script = (
        "import sys; from benchmark.metric import *; [get_metric(name) for name in metric_names()];"
        "import benchmark.score, benchmark.tables;"
        "assert not {'torch', 'mediapipe', 'scipy', 'skimage', 'matplotlib'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_unknown_metric_names_the_nearest():
    with pytest.raises(UserError, match=r"unknown metric 'pnsr'; did you mean psnr .*all: av_offset, blink"):
        get_metric("pnsr")
    with pytest.raises(UserError, match=r"unknown metric '\.\./x'; all: "):
        get_metric("../x")
