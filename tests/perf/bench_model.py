"""Speed of training and of motion: `make bench-model`, or `python tests/perf/bench_model.py [PRESET ...]`.

For every preset, on 1 and 2 cores of the CPU (and as many threads) and, where there is one, on a GPU in float32 and
bfloat16:

- windows/s and frames/s (48 a window, 32 windows a batch) of whole training steps, batches prepared beside them, all
  losses, both optimizers and the averaged weights;
- data: the share of that which the same steps reach on a batch that is already there, so 1.00 is no stall;
- busy: the share of wall time in which the device computed (profiler's kernel time; GPU only), and memory at its peak;
- motion of a 53 s clip as `disentbench generate` makes it, without rendering: frames/s and times real time.

Each line is measured in a process of its own. Warm-up is left out, the device is synchronised, and every number is the
best of several rounds, because other work on the machine only ever slows. Weights are random: as fast as trained ones.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

CLIPS, CLIP_FRAMES = 16, 250
SPEECH_FRAMES = 53 * 25
BATCH, WINDOW = 32, 48
WARM_UP, ROUNDS = 2, 3


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def settings() -> list[tuple[str, int, str]]:
    """(device, threads, precision) of every line."""
    found = [("cpu", 1, "no"), ("cpu", 2, "no")]
    return found + [("cuda", 1, "no"), ("cuda", 1, "bf16")] * torch.cuda.is_available()


def main() -> None:
    """Print a line for every preset and setting."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("presets", nargs="*", default=["tiny", "paper"])
    parser.add_argument("--seconds", type=float, default=10.0, help="of every measurement")
    parser.add_argument("--one", nargs=3, metavar=("DEVICE", "THREADS", "PRECISION"), help="this line alone, as JSON")
    given = parser.parse_args()
    if given.one:
        device, threads, precision = given.one
        say(json.dumps(measure(given.presets[0], device, int(threads), precision, given.seconds)))
        return
    head = "windows/s  frames/s   data   busy  memory     motion frames/s  x real time"
    say(f"{'preset':<8}{'device':<8}{'cores':>7}  {'precision':<10}{head}")
    for preset in given.presets:
        for setting in settings():
            line(preset, setting, given.seconds)


def line(preset: str, setting: tuple[str, int, str], seconds: float) -> None:
    """Measure one setting in a process of its own and print it."""
    device, threads, precision = setting
    command = [sys.executable, __file__, preset, "--seconds", str(seconds), "--one", device, str(threads), precision]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found = json.loads(done.stdout.splitlines()[-1])
    busy = "-" if found["busy"] is None else f"{found['busy']:.2f}"
    memory = "-" if found["memory_gib"] is None else f"{found['memory_gib']:.2f} G"
    training = f"{found['windows']:9.1f} {found['windows'] * WINDOW:9.0f} {found['data']:6.2f} {busy:>6} {memory:>7}"
    name = {"no": "float32", "bf16": "bfloat16"}[precision]
    motion = f"{found['motion']:19.0f} {found['motion'] / 25:12.1f}"
    say(f"{preset:<8}{device:<8}{threads:>7}  {name:<10}{training}{motion}")


def measure(preset: str, device: str, threads: int, precision: str, seconds: float) -> dict[str, float | None]:
    """All numbers of one line."""
    if device == "cpu" and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[:threads]))
    with TemporaryDirectory() as folder:
        return {
            **training(preset, device, threads, precision, seconds, Path(folder)),
            "motion": motion(preset, device),
        }


def training(
    preset: str, device: str, threads: int, precision: str, seconds: float, out: Path
) -> dict[str, float | None]:
    """Windows a second of whole steps, the share of it without waiting for data, and how busy the device is."""
    from accelerate import Accelerator

    from chdtf.morphable.model import DEFAULT_MODEL, load_model
    from disenttalk_ref.audio import AudioFeatures
    from disenttalk_ref.train import TrainConfig, TrainingData
    from disenttalk_ref.train.run import Run

    torch.set_num_threads(threads)
    config = TrainConfig(
        data=(),
        out=out,
        preset=preset,
        steps=1_000_000,
        batch=BATCH,
        window_frames=WINDOW,
        validate_every=0,
        mixed_precision=precision,  # type: ignore[arg-type]
        cpu=device == "cpu",
        loaders=1 if device == "cpu" else 4,
    )
    accelerator = Accelerator(mixed_precision=precision, cpu=config.cpu)
    regions = (tuple(range(13, 21)), tuple(range(13)), tuple(range(21, 64)))
    data = TrainingData(tuple(clip(number) for number in range(CLIPS)))
    with Run(config, data, load_model(DEFAULT_MODEL), regions, AudioFeatures(), accelerator) as run:
        there = run.batches.take()
        steps = iter(range(config.steps))
        whole, still = rates(
            [
                lambda: run.learner.learn(run.batches.take(), next(steps)),
                lambda: run.learner.learn(there, next(steps)),
            ],
            seconds,
            device,
        )
        busy, memory = None, None
        if device == "cuda":
            busy = busy_share(lambda: run.learner.learn(run.batches.take(), next(steps)))
            memory = torch.cuda.max_memory_allocated() / 2**30
    return {"windows": whole * BATCH, "data": whole / still, "busy": busy, "memory_gib": memory}


def clip(number: int) -> Any:
    """Noise for speech and random walks for motion: as much work as real ones."""
    from chdtf.dataset import MotionClip

    random = np.random.default_rng(number)
    waveform = (0.1 * random.standard_normal(CLIP_FRAMES * 640)).astype(np.float32)
    expression = np.cumsum(0.1 * random.standard_normal((CLIP_FRAMES, 64)), 0).astype(np.float32)
    pose = np.cumsum(0.01 * random.standard_normal((CLIP_FRAMES, 6)), 0).astype(np.float32)
    return MotionClip(f"c{number}", f"s{number}", "en", waveform, expression, pose, np.ones(CLIP_FRAMES, bool))


def rates(works: list[Callable[[], object]], seconds: float, device: str) -> list[float]:
    """Calls a second of each, the best of several rounds in turn; each takes `seconds` in all."""
    found: list[list[float]] = [[] for _ in works]
    for work in works * WARM_UP:
        work()
    for _ in range(ROUNDS):
        for work, kept in zip(works, found, strict=True):
            synchronise(device)
            began, count = time.perf_counter(), 0
            while count == 0 or time.perf_counter() - began < seconds / ROUNDS:
                work()
                count += 1
            synchronise(device)
            kept.append(count / (time.perf_counter() - began))
    return [max(kept) for kept in found]


def synchronise(device: str) -> None:
    """Wait until the device has done all that it was given."""
    if device == "cuda":
        torch.cuda.synchronize()


def busy_share(step: Callable[[], object], steps: int = 10) -> float:
    """Kernel time over wall time; training uses one stream, so kernels do not overlap."""
    from torch.profiler import ProfilerActivity, profile

    torch.cuda.synchronize()
    with profile(activities=[ProfilerActivity.CUDA]) as found:
        began = time.perf_counter()
        for _ in range(steps):
            step()
        torch.cuda.synchronize()
        wall = time.perf_counter() - began
    return sum(event.self_device_time_total for event in found.key_averages()) / 1e6 / wall


def motion(preset: str, device: str) -> float:
    """Frames a second of motion for 53 s of speech, on all cores that this process has."""
    import dataclasses

    from chdtf.morphable.model import DEFAULT_MODEL, load_model
    from disenttalk_ref.audio import AudioFeatures
    from disenttalk_ref.checkpoint import Header, new_checkpoint
    from disenttalk_ref.generate.motion import SamplerConfig, generate_motion
    from disenttalk_ref.model import PRESETS

    torch.set_num_threads(1)  # as `Generator` does; windows are shared by threads instead
    face, features = load_model(DEFAULT_MODEL), AudioFeatures()
    model = dataclasses.replace(PRESETS[preset], audio_width=features.width)
    regions = (tuple(range(13, 21)), tuple(range(13)), tuple(range(21, 64)))
    checkpoint = new_checkpoint(Header(model, features, 400, "v", WINDOW, regions, face.name, face.hash))
    for module in (checkpoint.denoiser, checkpoint.codec):
        module.to(device).eval()
    speech = (0.1 * np.random.default_rng(0).standard_normal(SPEECH_FRAMES * 640)).astype(np.float32)
    generate_motion(speech[: 100 * 640], 100, checkpoint, SamplerConfig())
    found = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        generate_motion(speech, SPEECH_FRAMES, checkpoint, SamplerConfig())
        found.append(SPEECH_FRAMES / (time.perf_counter() - began))
    return max(found)


if __name__ == "__main__":
    main()
