"""SyncNet's time per frame against syncnet-python's own on the same frames: `python tests/perf/bench_syncnet.py`.

Generated weights; one core, then two processes at once. Wall time is what counts on an idle machine; processor time, in
brackets, leaves out what other programs took.
"""

import concurrent.futures
import contextlib
import io
import multiprocessing
import sys
import tempfile
import time
import wave
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import torch
from syncnet_python import SyncNetInstance, SyncNetModel

from chdtf import syncnet
from chdtf.schema import FPS, SAMPLES_PER_FRAME

NUM_FRAMES = 105
ROUNDS = 5
TARGET_FRAMES_PER_S = 3 * FPS


def clip() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A photograph of a face under a moving window, uint8 (T, 256, 256, 3); two points of its box; noise."""
    from skimage import data

    shifts = np.round(10 * np.sin(np.arange(NUM_FRAMES) / 8)).astype(int)
    frames = np.stack([data.astronaut()[20:276, 96 + shift : 352 + shift] for shift in shifts])
    corners = np.array([[90.0, 60, 0], [180, 170, 0]]) - shifts[:, None, None] * np.array([1, 0, 0])
    noise = np.random.default_rng(0).uniform(-0.3, 0.3, NUM_FRAMES * SAMPLES_PER_FRAME)
    return frames, corners, (np.round(noise * 32768) / 32768).astype(np.float32)


def write_weights(path: Path) -> None:
    """Random ones, whose features are of a trained net's size."""
    torch.manual_seed(0)
    network = SyncNetModel()
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.Conv3d | torch.nn.Linear):
            torch.nn.init.kaiming_normal_(module.weight)
    with torch.no_grad():
        network.netcnnlip[0].weight /= 128.0
        network.netcnnaud[0].weight /= 10.0
    torch.save(network.state_dict(), path)


def original(path: Path, folder: Path, crops: np.ndarray, waveform: np.ndarray) -> Callable[[], tuple[Any, ...]]:
    """SyncNetInstance.evaluate on crops that lie in a folder."""
    for number, crop in enumerate(crops):  # lossless, under the names that it looks for
        (folder / f"{number:06d}.jpg").write_bytes(cv2.imencode(".png", crop[..., ::-1])[1].tobytes())
    with wave.open(str(folder / "audio.wav"), "wb") as sink:
        sink.setparams((1, 2, 16_000, 0, "NONE", ""))
        sink.writeframes(np.round(waveform * 32768).astype(np.int16).tobytes())
    network = SyncNetModel()
    network.load_state_dict(torch.load(path, weights_only=True))
    options = SimpleNamespace(tmp_dir=str(folder), batch_size=20, vshift=15)

    def evaluate() -> tuple[Any, ...]:
        with contextlib.redirect_stdout(io.StringIO()), torch.inference_mode():
            found: tuple[Any, ...] = SyncNetInstance(network, device="cpu").evaluate(options)
        return found

    return evaluate


def scored(encoder: Any, frames: np.ndarray, landmarks: np.ndarray, waveform: np.ndarray) -> syncnet.SyncScore:
    """Crops cut, embedded and scored, as the metrics do it."""
    crops = syncnet.face_crops(frames, landmarks)
    return syncnet.score(syncnet.shifted_distances(*syncnet.embed(encoder, crops, waveform), 15))


def timed(work: Callable[[], Any]) -> tuple[float, float]:
    """Seconds of wall and processor time."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - processor


def worker(path: Path, start: Any) -> tuple[float, float, float]:
    """One of two processes: begin, end, and processor time of several clips."""
    torch.set_num_threads(1)
    encoder, given = syncnet.load_syncnet(path), clip()
    scored(encoder, *given)
    start.wait()
    begin, processor = time.time(), time.process_time()
    for _ in range(ROUNDS):
        scored(encoder, *given)
    return begin, time.time(), time.process_time() - processor


def in_two_processes(path: Path) -> tuple[float, float]:
    """Frames per second of both together, by wall and by processor time."""
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, concurrent.futures.ProcessPoolExecutor(2, context) as pool:
        start = manager.Barrier(2)
        ended = [future.result() for future in [pool.submit(worker, path, start) for _ in range(2)]]
    frames = 2 * ROUNDS * NUM_FRAMES
    wall = max(end for _, end, _ in ended) - min(begin for begin, _, _ in ended)
    return frames / wall, frames / (sum(processor for *_, processor in ended) / 2)


def main() -> None:
    """Print times, the ratio, and how far the numbers are apart."""
    torch.set_num_threads(1)
    frames, landmarks, waveform = clip()
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "syncnet.model"
        write_weights(path)
        evaluate = original(path, Path(name), syncnet.face_crops(frames, landmarks), waveform)
        encoder = syncnet.load_syncnet(path)
        before, after = [], []
        for _ in range(ROUNDS):  # in turns: other work on the machine slows both
            before.append(timed(evaluate))
            after.append(timed(lambda: scored(encoder, frames, landmarks, waveform)))
        offset, confidence, distance = evaluate()
        found = scored(encoder, frames, landmarks, waveform)
        both = in_two_processes(path)
    (slow, slow_cpu), (fast, fast_cpu) = np.min(before, axis=0), np.min(after, axis=0)
    per_frame = 1000 / NUM_FRAMES
    sys.stdout.write(
        f"syncnet-python, one core   {slow * per_frame:6.1f} ms/frame ({slow_cpu * per_frame:.1f})\n"
        f"here, crops cut, one core  {fast * per_frame:6.1f} ms/frame ({fast_cpu * per_frame:.1f}), "
        f"{slow / fast:.2f} x as fast ({slow_cpu / fast_cpu:.2f})\n"
        f"two processes              {both[0]:6.1f} frames/s ({both[1]:.1f}), wanted {TARGET_FRAMES_PER_S}\n"
        f"differences: offset {found.offset_frames - offset}, confidence {found.confidence - confidence:+.1e}, "
        f"distance {found.distance - distance:+.1e}\n"
    )


if __name__ == "__main__":
    main()
