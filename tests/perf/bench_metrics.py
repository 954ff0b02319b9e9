"""Time of each metric per 256x256 frame: `python tests/perf/bench_metrics.py [VIDEO]` (a moving photo by default)."""

import dataclasses
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from syncnet_python import SyncNetModel

from benchmark.metric import get_metric, metric_names
from benchmark.normalise import AS_IS
from chdtf import media


def sample(num_frames: int = 100) -> np.ndarray:
    """A photograph of a face under a moving window, uint8 (T, 256, 256, 3)."""
    from skimage import data

    photo = data.astronaut()
    shifts = np.round(10 * np.sin(np.arange(num_frames) / 8)).astype(int)
    return np.stack([photo[20:276, 96 + shift : 352 + shift] for shift in shifts])


def best_of(work: Callable[[], object], repeats: int = 3) -> float:
    """Shortest of several runs in seconds: other work on the machine only ever adds."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


def main() -> None:
    """Print milliseconds per frame."""
    given = [Path(name) for name in sys.argv[1:]]
    path = given[0] if given else Path(tempfile.gettempdir()) / "bench_metrics.mp4"
    if not given:
        frames = sample()
        media.write_video(path, frames, np.random.default_rng(0).uniform(-0.2, 0.2, 640 * len(frames)))
    clip = AS_IS.footage(path)
    other = dataclasses.replace(clip, frames=np.roll(clip.frames, 1, axis=0))
    for footage in (clip, other):
        footage.landmarks  # noqa: B018
    rows: list[tuple[str, float]] = [
        ("normalise", best_of(lambda: AS_IS.footage(path))),
        ("landmarks", best_of(lambda: dataclasses.replace(clip).landmarks)),
    ]
    for name in metric_names():
        metric = get_metric(name)
        model = SyncNetModel().eval() if name == "lse_c" else metric.load()
        rows.append((name, best_of(lambda: metric.measure(clip, other, model))))  # noqa: B023
    for name, seconds in rows:
        sys.stdout.write(f"{name:10s} {1000 * seconds / clip.num_frames:8.3f} ms/frame\n")


if __name__ == "__main__":
    torch.set_num_threads(2)
    main()
