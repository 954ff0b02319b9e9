"""Speed of the metrics on 256x256 video: `make bench-metrics`, or `python tests/perf/bench_metrics.py [VIDEO]`.

Prints, measured in one run: time of each metric alone in one process; the four metrics that need no weights together,
as `disentbench run` scores them with two workers, decoding and landmarks included; and CPBD against the package cpbd
1.0.7 where that is installed (`pip install --no-deps cpbd==1.0.7`). Beside the time that passes stands the processors'
time, which other work on the machine hardly changes. SyncNet's metrics have a benchmark of their own, bench_syncnet.py.
Without a video one of the bundled sample is drawn.
"""

import dataclasses
import importlib
import itertools
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmark import perceptual
from benchmark.clip_score import ScoreItem
from benchmark.footage import Footage
from benchmark.metric import MetricBase, Unscored, get_metric, metric_names
from benchmark.normalise import AS_IS
from benchmark.score import score_all
from chdtf import media
from chdtf.schema import FPS

WEIGHT_FREE = ("psnr", "cpbd", "lmd", "blink")
WORKERS = 2
NUM_FRAMES = 125
FEW, MANY = 8, 24  # clips; their difference in time is free of what a worker's start costs
REPEATS = 2


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


@dataclasses.dataclass(frozen=True)
class Cost:
    """Seconds that pass, and seconds of all processors."""

    wall: float
    cpu: float

    def __sub__(self, other: "Cost") -> "Cost":
        return Cost(self.wall - other.wall, self.cpu - other.cpu)


def cpu_s() -> float:
    """Seconds of all processors so far, those of child processes that have ended among them."""
    return time.process_time() + sum(os.times()[2:4])


def cost_of(work: Callable[[], object], repeats: int = 1) -> Cost:
    """Least of several runs: other work on the machine only ever adds."""
    found = []
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), cpu_s()
        work()
        found.append((time.perf_counter() - wall, cpu_s() - cpu))
    return Cost(*(min(kind) for kind in zip(*found, strict=True)))


def drawn(folder: Path) -> Path:
    """A talking head of the sample as a file of 256x256, with sound."""
    from chdtf.sample import draw
    from chdtf.sample.plan import PLAN

    video = next(video for video in PLAN if video.video_id == "hopper_de_bakery")
    images = itertools.islice(draw.images(video), NUM_FRAMES)
    frames = [cv2.resize(image, (256, 256), interpolation=cv2.INTER_AREA) for image in images]
    path = folder / "drawn.mp4"
    media.write_video(path, frames, np.random.default_rng(0).uniform(-0.2, 0.2, 640 * len(frames)).astype(np.float32))
    return path


def degraded(path: Path, folder: Path) -> Path:
    """The same video coded once more, as the generated one."""
    made = folder / "generated.mp4"
    media.write_video(made, media.frames(path, FPS), media.read_waveform(path), crf=30)
    return made


def fresh(footage: Footage) -> Footage:
    """The same footage with nothing computed of it but its landmarks."""
    copy = dataclasses.replace(footage, _kept={})
    copy.__dict__["landmarks"] = footage.landmarks
    return copy


def line(name: str, cost: Cost, num_frames: int, note: str = "") -> None:
    rate = num_frames / cost.wall
    wall, cpu = (1000 * seconds / num_frames for seconds in (cost.wall, cost.cpu))
    say(f"{name:20s} {wall:8.3f} ms/frame {cpu:8.3f} ms CPU {rate:8.0f} frames/s {rate / FPS:7.1f} x real time  {note}")


def random_lpips() -> Any:
    """LPIPS with random convolutions, which is as fast."""
    import torch

    from chdtf.alexnet import SHAPES

    trunk = {f"{layer}.weight": torch.randn(shape) / 50 for layer, shape in SHAPES.items()}
    return perceptual.build(trunk | {f"{layer}.bias": torch.zeros(shape[0]) for layer, shape in SHAPES.items()})


def model_of(metric: MetricBase) -> tuple[Any, str]:
    """The metric's network, or why there is none; and what stands in for it."""
    try:
        return metric.load(), ""
    except Unscored as problem:
        return (random_lpips(), "random weights") if metric.weights == ("alexnet",) else (problem, "")


def each(generated: Footage, reference: Footage, path: Path) -> None:
    """Every step and metric alone, in this process."""
    count = generated.num_frames
    say("one process, one metric at a time (landmarks are given)")
    line("decode and normalise", cost_of(lambda: AS_IS.footage(path), 3), count)
    line("landmarks", cost_of(lambda: dataclasses.replace(generated).landmarks, 3), count)
    for name in metric_names():
        metric = get_metric(name)
        if "syncnet_v2" in metric.weights:
            continue
        model, note = model_of(metric)
        try:
            if isinstance(model, Unscored):
                raise model
            work = lambda m=metric, n=model: m.measure(fresh(generated), fresh(reference), n)  # noqa: E731
            line(name, cost_of(work, 3 if metric.weights == () else 1), count, note)
        except Unscored as problem:
            say(f"{name:24s} not measured: {problem.reason}")


def together(generated: Path, reference: Path, num_frames: int, folder: Path) -> None:
    """The four metrics without weights through the scoring of whole methods."""
    metrics = [get_metric(name) for name in WEIGHT_FREE]

    def clips(count: int) -> list[ScoreItem]:
        return [ScoreItem(f"clip{i}", "someone", "en", "test", generated, reference) for i in range(count)]

    def cost(method: str, count: int) -> Cost:
        def work() -> None:
            scores = score_all({method: clips(count)}, folder, metrics, WORKERS)[method]
            if any(score.value is None for score in scores):
                raise SystemExit(f"not scored: {next(score.reason for score in scores if score.value is None)}")

        return cost_of(work)

    say(f"\n{', '.join(WEIGHT_FREE)} together, {WORKERS} workers; both videos decoded; landmarks of the reference kept")
    cost("first", 1)
    runs = [(cost(f"few{run}", FEW), cost(f"many{run}", MANY)) for run in range(REPEATS)]
    few, many = (Cost(min(c.wall for c in costs), min(c.cpu for c in costs)) for costs in zip(*runs, strict=True))
    rate = many - few
    line("all four", rate, (MANY - FEW) * num_frames)
    possible = WORKERS * (MANY - FEW) * num_frames / rate.cpu
    say(f"{'':20s} {WORKERS} cores of their own would do {possible:.0f} frames/s, {possible / FPS:.1f} x real time")


def against_pypi(frames: np.ndarray) -> None:
    """CPBD beside the package's code, both in this process on the same frames."""
    import scipy.ndimage

    from benchmark.sharpness import cpbd

    if not hasattr(scipy.ndimage, "imread"):
        scipy.ndimage.imread = None  # its command line alone uses it
    try:
        compute = importlib.import_module("cpbd.compute").compute
    except ImportError as error:
        say(f"\ncpbd 1.0.7 is not compared: {error} (pip install --no-deps cpbd==1.0.7)")
        return
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames[:: max(1, len(frames) // 20)]]
    say("\nCPBD against the package cpbd 1.0.7, the same frames in turn")
    theirs = cost_of(lambda: [compute(image) for image in grey], 2)
    ours = cost_of(lambda: [cpbd(image) for image in grey], 9)
    line("cpbd 1.0.7", theirs, len(grey))
    line("this project", ours, len(grey), f"{theirs.cpu / ours.cpu:.0f} times as fast by CPU time")


def main() -> None:
    """Print all of it."""
    folder = Path(tempfile.mkdtemp(prefix="bench-metrics-"))
    try:
        reference = Path(sys.argv[1]) if sys.argv[1:] else drawn(folder)
        made = degraded(reference, folder)
        pair = AS_IS.footage(made), AS_IS.footage(reference)
        each(*pair, made)
        together(made, reference, pair[0].num_frames, folder)
        against_pypi(pair[0].frames)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
