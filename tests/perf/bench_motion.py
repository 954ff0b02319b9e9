"""How fast motion is made of speech: `python tests/perf/bench_motion.py [--seconds 53] [--steps N] ...`.

Features and denoising apart, after a warm-up, the device synchronised. Speech is the bundled sample, repeated. With
`--stream` also the stream's speed; peak memory is that of the whole process, so run it once for each length.
"""

import argparse
import dataclasses
import resource
import sys
import time
from pathlib import Path

import numpy as np
import torch

from chdtf.media import read_waveform
from chdtf.threads import one_thread
from disenttalk_ref.checkpoint import DEFAULT, Checkpoint, load_checkpoint
from disenttalk_ref.generate import motion, windows
from disenttalk_ref.generate.motion import SamplerConfig, generate_motion
from disenttalk_ref.generate.stream import MotionStream

SPEECH = Path(__file__).resolve().parents[2] / "chdtf" / "assets" / "speech"
RATE_HZ, FPS = 16_000, 25


def speech(seconds: float) -> np.ndarray:
    """The bundled recordings one after the other, again and again: (S,) float32."""
    parts = [read_waveform(path) for path in sorted(SPEECH.glob("*.ogg"))]
    whole = np.concatenate([part for part in parts if part is not None])
    return np.resize(whole, round(seconds * FPS) * 640)


def synchronise(model: Checkpoint) -> None:
    """Wait for the device."""
    if model.codec.mean.device.type == "cuda":
        torch.cuda.synchronize()


def timed(model: Checkpoint, waveform: np.ndarray, config: SamplerConfig) -> tuple[float, float, float]:
    """Seconds for features, for all, and of processor time for all."""
    frames = len(waveform) // 640
    generate_motion(waveform[: 100 * 640], 100, model, config)
    synchronise(model)
    started = time.perf_counter()
    with one_thread():
        for _ in motion._rows(model, waveform, frames):
            pass
    features_s = time.perf_counter() - started
    started, worked = time.perf_counter(), time.process_time()
    made = generate_motion(waveform, frames, model, config)
    synchronise(model)
    assert made.num_frames == frames
    return features_s, time.perf_counter() - started, time.process_time() - worked


def main() -> None:
    """Print a line for each measurement."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, default=DEFAULT)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seconds", type=float, default=53.0)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--stream", action="store_true")
    defaults = SamplerConfig()
    for name in ("sampler", "steps", "windows_at_once"):
        parser.add_argument(f"--{name}", type=type(getattr(defaults, name)), default=getattr(defaults, name))
    given = parser.parse_args()
    chosen = {name: getattr(given, name) for name in ("sampler", "steps", "windows_at_once")}
    config = dataclasses.replace(defaults, **chosen)
    model, waveform = load_checkpoint(given.checkpoint, device=given.device), speech(given.seconds)
    frames = len(waveform) // 640
    say(f"{given.seconds:g} s of speech, {frames} frames; {config.sampler}, {config.steps} steps, guided")
    say(f"{given.device}, {windows._cores()} cores, {config.windows_at_once} windows at once")
    for _ in range(given.repeats):
        features_s, all_s, worked_s = timed(model, waveform, config)
        say(
            f"features {features_s:.2f} s; denoising {all_s - features_s:.2f} s; "
            f"together {frames / all_s:.0f} frames/s, {frames / all_s / FPS:.0f} x real time, "
            f"{frames / worked_s:.0f} frames a second of processor time"
        )
    if given.stream:
        stream, started = MotionStream(model, config), time.perf_counter()
        for begin in range(0, len(waveform), 640):
            stream.push(waveform[begin : begin + 640])
        stream.finish()
        spent_s = time.perf_counter() - started
        say(f"stream: {frames / spent_s:.0f} frames/s, look-ahead {stream.latency_s:.3f} s")
    say(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


def say(line: str) -> None:
    """Print."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
