"""Generated against recorded motion of clips that were not trained on, in coefficient space: no pixels, no tracker.

Both are put on the mean face, so that landmarks are those of the expression alone.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from chdtf.dataset import MotionClip
from chdtf.faces import MOUTH_20, eye_aspect_ratio, mouth_opening
from chdtf.morphable.model import FaceModel
from chdtf.schema import FPS, NUM_VERTICES
from disenttalk_ref.checkpoint import Checkpoint
from disenttalk_ref.model import REGIONS
from disenttalk_ref.motion import Motion
from disenttalk_ref.sync import SyncExpert

MOST_FRAMES = 250  # of a clip
BLINK_SHARE, BLINK_FRAMES = 0.7, (2, 15)  # an eye below this share of its median for so many frames blinks
_SHIFTS = (5, 12, 25)  # frames, of the wrong pairs that the expert has to tell from right ones
_JUDGED_FRAMES = 25  # over which it judges


def validate(
    checkpoint: Checkpoint, face: FaceModel, clips: Sequence[MotionClip], expert: SyncExpert | None = None
) -> dict[str, float]:
    """Means over clips of what `compare` gives for generated motion; NaN where no clip has a value.

    With `expert` also `expert_accuracy`: how often it tells a recorded pair from a shifted one; chance is 0.5.
    """
    from disenttalk_ref.generate.motion import SamplerConfig, generate_motion  # only needed here

    sampler = SamplerConfig()
    sampler = dataclasses.replace(sampler, steps=min(sampler.steps, checkpoint.header.diffusion_steps))
    rows = []
    for clip in clips:
        frames = min(len(clip.valid), MOST_FRAMES)
        row = compare(generate_motion(clip.waveform, frames, checkpoint, sampler), clip, face)
        if expert is not None:
            row["expert_accuracy"] = expert_accuracy(expert, checkpoint, clip)
        rows.append(row)
    return {name: _mean([row[name] for row in rows]) for name in rows[0]} if rows else {}


def compare(generated: Motion, clip: MotionClip, face: FaceModel) -> dict[str, float]:
    """One clip's generated motion, of its first T frames, against what was recorded; frames without a face left out.

    mouth_corr: Pearson correlation of mouth opening. mouth_amplitude: ratio of its standard deviations.
    lip_distance: mean distance of the 20 mouth landmarks, outer eye distances.
    blinks_per_s, eye_closure (median lowest share of the open eye in a blink), velocity (mean landmark speed, outer
    eye distances a second), turning (head rotation speed, radians a second), and each `recorded_`.
    """
    frames = generated.num_frames
    valid = clip.valid[:frames]
    made, real = (landmarks(expression[:frames], face) for expression in (generated.expression, clip.expression))
    opening, true_opening = (mouth_opening(points)[valid] for points in (made, real))
    lips = np.linalg.norm(made[:, MOUTH_20] - real[:, MOUTH_20], axis=-1)[valid]
    found = {
        "mouth_corr": _correlation(opening, true_opening),
        "mouth_amplitude": _ratio(float(opening.std()), float(true_opening.std())) if len(opening) else float("nan"),
        "lip_distance": float(lips.mean()) if len(lips) else float("nan"),
    }
    for prefix, points, pose in (("", made, generated.pose), ("recorded_", real, clip.pose[:frames])):
        found[f"{prefix}blinks_per_s"], found[f"{prefix}eye_closure"] = blinks(eye_aspect_ratio(points), valid)
        found[f"{prefix}velocity"] = _speed(points, valid)
        found[f"{prefix}turning"] = _speed(pose[:, None, :3], valid)
    return found


def landmarks(expression: np.ndarray, face: FaceModel) -> np.ndarray:
    """Landmarks of the mean face with an expression (T, 64): (T, 468, 3) in outer eye distances; NaN if unmapped."""
    moved = expression.astype(np.float64) @ face.landmark_expression.reshape(face.num_expression, -1)
    found = np.full((len(expression), NUM_VERTICES, 3), np.nan)
    found[:, face.landmark_map.landmarks] = face.landmark_mean + moved.reshape(len(expression), -1, 3)
    return found


def blinks(ear: np.ndarray, valid: np.ndarray) -> tuple[float, float]:
    """Blinks a second of an eye aspect ratio (T,), and the median over them of the lowest share of the open eye."""
    if not valid.any():
        return float("nan"), float("nan")
    share = np.where(valid, ear / np.median(ear[valid]), np.inf)
    closed = np.concatenate([[False], share < BLINK_SHARE, [False]]).astype(np.int8)
    edges = np.flatnonzero(np.diff(closed))
    shortest, longest = BLINK_FRAMES
    runs = [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if shortest <= b - a <= longest]
    lowest = float(np.median([share[a:b].min() for a, b in runs])) if runs else float("nan")
    return len(runs) / (float(valid.sum()) / FPS), lowest


@torch.inference_mode()
def expert_accuracy(expert: SyncExpert, checkpoint: Checkpoint, clip: MotionClip) -> float:
    """Share of stretches of a second where the expert finds recorded pairs more fitting than shifted ones."""
    frames = min(len(clip.valid), MOST_FRAMES) // _JUDGED_FRAMES * _JUDGED_FRAMES
    if frames <= max(_SHIFTS):
        return float("nan")
    device = next(expert.parameters()).device
    audio = torch.from_numpy(checkpoint.header.audio.extract(clip.waveform))[None, :frames].to(device)
    lips = clip.expression[None, :frames, list(checkpoint.header.regions[REGIONS.index("lip")])]

    def judged(shift: int) -> torch.Tensor:
        cosine = expert(audio.roll(shift, 1), torch.from_numpy(lips).to(device))
        return torch.as_tensor(cosine.reshape(-1, _JUDGED_FRAMES).mean(-1))

    right = judged(0)
    wins = torch.stack([right > judged(sign * shift) for shift in _SHIFTS for sign in (1, -1)])
    return float(wins.float().mean())


def _speed(points: np.ndarray, valid: np.ndarray) -> float:
    """Mean length of what (T, P, 3) points move by, a second; between frames that are both valid."""
    both = valid[1:] & valid[:-1]
    moved = np.linalg.norm(np.diff(points, axis=0), axis=-1)[both]
    return float(np.nanmean(moved)) * FPS if both.any() else float("nan")


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    if len(a) < 2 or a.std() < 1e-9 or b.std() < 1e-9:
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])


def _ratio(a: float, b: float) -> float:
    return a / b if b > 1e-9 else float("nan")


def _mean(values: Sequence[Any]) -> float:
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")
