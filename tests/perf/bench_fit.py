"""How fast clips are fitted, on one core: `python tests/perf/bench_fit.py`. Not part of the test suite.

By model, by how many clips go in together, and against the closed form written plainly in NumPy, in one run. Frames a
second of processor time, so that what else the machine does matters little. `ict` is measured where its file is.
"""

import dataclasses
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from chdtf.errors import UserError
from chdtf.morphable.coefficients import Coefficients, landmarks_of
from chdtf.morphable.fitting import fit_clips, smooth
from chdtf.morphable.model import FaceModel, load_model
from chdtf.morphable.similarity import fit_similarity

CLIPS, FRAMES = 16, 125
ROUNDS = 3


def tracked(model: FaceModel, clips: int, frames: int) -> list[np.ndarray]:
    """Landmarks (T, 478, 3) of random clips of a model, with 0.2 px of noise."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(clips):
        truth = Coefficients(
            identity=model.mean if model.free_identity else rng.normal(size=model.num_identity),
            expression=np.abs(rng.normal(size=(frames, model.num_expression))) * model.expression_deviation,
            rotation=Rotation.from_euler("YXZ", rng.uniform(-20, 20, (frames, 3)), degrees=True).as_rotvec(),
            translation=np.full((frames, 3), 128.0),
            scale=np.full(frames, 90.0),
            valid=np.ones(frames, bool),
        )
        vertices = np.nan_to_num(landmarks_of(truth, model))
        landmarks = np.concatenate([vertices, vertices[:, :10]], axis=1)
        found.append((landmarks + 0.2 * rng.normal(size=landmarks.shape)).astype(np.float32))
    return found


def plain_numpy(landmarks: np.ndarray, model: FaceModel) -> np.ndarray:
    """The closed form as it stood before it was fitted in batches: expressions (T, K)."""
    points = landmarks[:, :468].astype(np.float64)
    identity, moved = model.mean.astype(np.float64), np.zeros((1, 468, 3))
    for _ in range(3):
        aligned = fit_similarity(identity + moved, points, model.alignment_weights).undo(points)
        mean = aligned.mean(0, keepdims=True)
        identity = fit_similarity(model.mean, mean, model.alignment_weights).undo(mean)[0]
        pose = fit_similarity(identity + moved, points, model.alignment_weights)
        expression = (pose.undo(points) - identity).reshape(len(points), -1) @ model.projector
        moved = model.displacement(expression)
    pose = fit_similarity(identity + moved, points, model.alignment_weights)
    solved: np.ndarray = (pose.undo(points) - identity).reshape(len(points), -1) @ model.projector
    return solved


def frames_per_second(work: Callable[[], object], frames: int) -> float:
    """The best of some rounds."""
    best = np.inf
    for _ in range(ROUNDS):
        began = time.process_time()
        work()
        best = min(best, time.process_time() - began)
    return frames / float(best)


def report(name: str, model: FaceModel, counts: tuple[int, ...]) -> None:
    """One line for each number of clips that go in together."""
    clips = tracked(model, max(counts), FRAMES)
    for count in counts:
        speed = frames_per_second(lambda count=count: fit_clips(clips[:count], model), count * FRAMES)  # type: ignore[misc]
        sys.stdout.write(f"{name}, {count} x {FRAMES} frames together: {speed:.0f} frames/s\n")


def main() -> None:
    """Measure everything."""
    torch.set_num_threads(1)
    mp468 = load_model("mp468")
    clips = tracked(mp468, CLIPS, FRAMES)
    plain = frames_per_second(lambda: [plain_numpy(clip, mp468) for clip in clips], CLIPS * FRAMES)
    sys.stdout.write(f"mp468, NumPy, one clip after another: {plain:.0f} frames/s\n")
    apart = frames_per_second(lambda: [fit_clips([clip], mp468) for clip in clips], CLIPS * FRAMES)
    sys.stdout.write(f"mp468, one clip after another: {apart:.0f} frames/s\n")
    report("mp468", mp468, (1, 4, CLIPS))
    linear = dataclasses.replace(mp468, name="linear", free_identity=False)
    report("32 + 64 linear dimensions", linear, (1, 4))
    try:
        report("ict", load_model("ict"), (1, 4))
    except UserError as error:
        sys.stdout.write(f"ict: {error}\n")
    fitted = fit_clips(clips[:4], mp468)
    calm = frames_per_second(lambda: [smooth(clip) for clip in fitted], 4 * FRAMES)
    sys.stdout.write(f"smoothing mp468: {calm:.0f} frames/s\n")


if __name__ == "__main__":
    main()
