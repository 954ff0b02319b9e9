"""Speech to a finished 256x256 video of 53 s, step by step: `python tests/perf/bench_render.py [threads]`.

The bundled portrait and speech, the committed checkpoint, the mesh-warp renderer. The first pass over a second of
speech warms up and is left out. Wall time is what counts on an idle machine; processor time, in brackets, leaves out
what other programs took. Not part of the test suite.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import numpy as np
import skimage.data
import torch

from chdtf.media import read_waveform, write_video
from chdtf.schema import FPS, SAMPLES_PER_FRAME
from disenttalk_ref.generate.generator import Generator
from disenttalk_ref.motion import Motion
from disenttalk_ref.render import Portrait, load_renderer

DURATION_S = 53
TARGET_FRAMES_PER_S = 100
SPEECH = Path(__file__).resolve().parents[2] / "chdtf" / "assets" / "speech"


def speech(duration_s: int) -> np.ndarray:
    """The bundled speeches one after another, again and again: float32 (S,), 16 kHz."""
    parts = [read_waveform(path) for path in sorted(SPEECH.glob("*.ogg"))]
    whole = np.concatenate([part for part in parts if part is not None])
    return np.resize(whole, duration_s * FPS * SAMPLES_PER_FRAME)


def timed(name: str, num_frames: int, work: Callable[[], object]) -> None:
    """Print frames/s of wall time and, in brackets, of processor time."""
    wall, busy = time.perf_counter(), time.process_time()
    work()
    wall, busy = time.perf_counter() - wall, time.process_time() - busy
    sys.stdout.write(f"{name:32s}{num_frames / wall:8.0f} frames/s ({num_frames / busy:.0f})\n")


def consume(frames: Iterable[np.ndarray]) -> None:
    """Draw all frames and drop them."""
    for _ in frames:
        pass


def steps(generator: Generator, one: Portrait, many: Portrait, waveform: np.ndarray, folder: Path, quiet: bool) -> None:
    """Each step alone, then all together."""
    num_frames = len(waveform) // SAMPLES_PER_FRAME
    kept: list[Motion] = []
    drawn: list[np.ndarray] = []

    def whole() -> None:
        motion = generator.motion(waveform, num_frames)
        write_video(folder / "whole.mp4", generator.draw(many, motion), waveform)

    work: dict[str, Callable[[], object]] = {
        f"motion, {generator.config.steps} steps": lambda: kept.append(generator.motion(waveform, num_frames)),
        "rendering, 1 thread": lambda: drawn.extend(generator.draw(one, kept[0])),
        "rendering, threads": lambda: consume(generator.draw(many, kept[0])),
        "rendering, head still": lambda: consume(
            generator.draw(many, Motion(kept[0].expression, np.zeros_like(kept[0].pose)))
        ),
        "encoding": lambda: write_video(folder / "encoded.mp4", drawn, waveform),
        "speech to finished video": whole,
    }
    for name, step in work.items():
        if quiet:
            step()
        else:
            timed(name, num_frames, step)


def main(threads: int) -> None:
    """Warm up, then measure."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    image = cv2.resize(skimage.data.astronaut()[:240, 100:340], (256, 256), interpolation=cv2.INTER_CUBIC)
    generator = Generator()
    one, many = (load_renderer("mesh_warp", threads=count).prepare(image) for count in (1, threads))
    with tempfile.TemporaryDirectory() as folder:
        steps(generator, one, many, speech(1), Path(folder), quiet=True)
        sys.stdout.write(f"{DURATION_S} s, {threads} threads; wanted: {TARGET_FRAMES_PER_S} frames/s as a whole\n")
        steps(generator, one, many, speech(DURATION_S), Path(folder), quiet=False)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2)
