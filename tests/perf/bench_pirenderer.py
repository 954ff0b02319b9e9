"""Speed of PIRenderer's network: `python tests/perf/bench_pirenderer.py`. Not part of the test suite.

Floating-point operations a frame, and frames a second from latent vectors to pixels in host memory, warm-up excluded,
the device synchronised: on one CPU core by processor time, and on the GPU where there is one (target: 300 frames/s).
Weights are random, which takes as long as trained ones.
"""

import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from chdtf.morphable.coefficients import Coefficients
from chdtf.morphable.model import load_model
from disenttalk_ref.render.pirenderer.checkpoint import Header
from disenttalk_ref.render.pirenderer.config import PRESETS
from disenttalk_ref.render.pirenderer.network import PIRendererNetwork
from disenttalk_ref.render.pirenderer.portrait import NeuralPortrait, PIRenderer
from disenttalk_ref.render.pirenderer.semantics import FIT


def portrait_of(preset: str, device: str, precision: str, batch_frames: int) -> NeuralPortrait:
    """A portrait with random weights."""
    network = PIRendererNetwork(PRESETS[preset]).eval()
    model = load_model("mp468")
    source = Coefficients(
        identity=model.mean,
        expression=np.zeros((1, 64)),
        rotation=np.zeros((1, 3)),
        translation=np.full((1, 3), 128.0),
        scale=np.full(1, 64.0),
        valid=np.ones(1, bool),
    )
    renderer = PIRenderer(device=device, precision=precision, batch_frames=batch_frames)
    header = Header(network.config, FIT, model.name, model.hash)
    return renderer.portrait(np.zeros((256, 256, 3), np.uint8), source, model, header, network)


def gflop(portrait: NeuralPortrait) -> float:
    """10^9 floating-point operations of one frame, a multiplication and an addition counted as two."""
    z = torch.zeros(1, portrait.network.config.descriptor, device=portrait.prepared.image.device)
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        portrait.network.render(portrait.prepared, z)
    return counter.get_total_flops() / 1e9


def seconds(portrait: NeuralPortrait, frames: int, clock: Callable[[], float]) -> float:
    """Time of so many frames; pixels in host memory mean that the device has finished."""
    semantics = np.random.default_rng(0).standard_normal((frames, portrait.network.config.semantics))
    began = clock()
    for _ in portrait.images(semantics.astype(np.float32)):
        pass
    return clock() - began


def report(preset: str, device: str, precision: str, batch_frames: int, frames: int) -> None:
    """One line."""
    portrait = portrait_of(preset, device, precision, batch_frames)
    seconds(portrait, batch_frames, time.perf_counter)
    clock = time.process_time if device == "cpu" else time.perf_counter
    speed = frames / seconds(portrait, frames, clock)
    work = f"{speed * gflop(portrait) / 1e3:.2f} TFLOP/s"
    sys.stdout.write(f"{preset}, {device}, {precision}, {batch_frames} at a time: {speed:.2f} frames/s ({work})\n")


def main() -> None:
    """Measure everything."""
    torch.set_num_threads(1)
    for preset in PRESETS:
        sys.stdout.write(f"{preset}: {gflop(portrait_of(preset, 'cpu', 'float32', 1)):.1f} GFLOP a frame\n")
    for preset, frames in (("paper", 4), ("small", 8), ("tiny", 16)):
        report(preset, "cpu", "float32", 4, frames)
    if not torch.cuda.is_available():
        sys.stdout.write("no GPU here\n")
        return
    sys.stdout.write(f"{torch.cuda.get_device_name()}\n")
    for precision in ("float32", "bf16", "fp16"):
        for batch_frames in (8, 32):
            report("paper", "cuda", precision, batch_frames, 40 * batch_frames)


if __name__ == "__main__":
    main()
