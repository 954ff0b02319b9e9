"""Quality against steps for every sampler: `python tests/perf/sampler_steps.py OUT --videos 'FOLDER/*/gt.mkv'`.

Clips are those of published datasets (`--dataset`, the recorded coefficients are the truth), or videos of one face
(`--videos`, MediaPipe's landmarks are), with their own sound or an audio.wav beside them. For every sampler and number
of steps, means over clips and seeds:

- mouth_corr: Pearson correlation of the mouth opening with the truth;
- blinks_per_s: eyes under 70 % of their median for 2 to 15 frames (the truth's own rate is a line of its own);
- distance: root mean square of expression coefficients to what 400 steps of DDIM give from the same starting noise.
  DDPM draws noise at every step, so it ends elsewhere however many steps it takes.

Writes OUT.csv and OUT.png. Not part of the test suite.
"""

import argparse
import csv
import glob
import itertools
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from chdtf.dataset import MotionDataset
from chdtf.faces import eye_aspect_ratio, mouth_opening, track_landmarks
from chdtf.files import atomic_path
from chdtf.media import frames, read_waveform
from chdtf.morphable.model import load_model
from disenttalk_ref.checkpoint import DEFAULT, Checkpoint, load_checkpoint
from disenttalk_ref.diffusion.samplers import sampler_names
from disenttalk_ref.generate.motion import SamplerConfig, generate_motion

STEPS = (2, 4, 6, 8, 12, 20, 50, 400)
FIELDS = ("sampler", "steps", "mouth_corr", "blinks_per_s", "distance")
FPS = 25


@dataclass(frozen=True)
class Clip:
    """Speech, and what the face did: NaN where it was not seen."""

    waveform: np.ndarray  # (S,)
    opening: np.ndarray  # (T,) of the mouth
    eyes: np.ndarray  # (T,) aspect ratio


def of_video(path: Path) -> Clip:
    """A video of one face."""
    landmarks = track_landmarks(frames(path))
    beside = path.with_name("audio.wav")
    waveform = read_waveform(beside if beside.exists() else path)
    if waveform is None:
        raise SystemExit(f"{path}: no sound")
    return Clip(waveform, mouth_opening(landmarks), eye_aspect_ratio(landmarks))


def of_dataset(root: Path) -> list[Clip]:
    """All clips of a published dataset."""
    dataset, clips = MotionDataset((root,)), []
    for number in range(len(dataset)):
        clip = dataset[number]
        points = landmarks_of(clip.expression)
        unseen = np.where(clip.valid, 0.0, np.nan)
        clips.append(Clip(clip.waveform, mouth_opening(points) + unseen, eye_aspect_ratio(points) + unseen))
    return clips


def landmarks_of(expression: np.ndarray) -> np.ndarray:
    """The mean face with these expressions, (T, 468, 3)."""
    face = load_model("mp468")
    points: np.ndarray = face.mean + face.displacement(expression)
    return points


def blinks(ratio: np.ndarray) -> int:
    """How often the eyes close."""
    low = ratio < 0.7 * np.nanmedian(ratio)
    runs = (len(list(group)) for closed, group in itertools.groupby(low) if closed)
    return sum(2 <= run <= 15 for run in runs)


def generated(clips: list[Clip], model: Checkpoint, sampler: str, steps: int, seeds: int) -> list[np.ndarray]:
    """Expressions of every clip and seed."""
    return [
        generate_motion(
            clip.waveform, len(clip.opening), model, SamplerConfig(seed=seed, sampler=sampler, steps=steps)
        ).expression
        for seed in range(seeds)
        for clip in clips
    ]


def row(clips: list[Clip], made: list[np.ndarray], reference: list[np.ndarray]) -> dict[str, float]:
    """The figures of one sampler and number of steps."""
    correlations, closed, seen = [], 0, 0
    for clip, expression in zip(itertools.cycle(clips), made):
        points, known = landmarks_of(expression), ~np.isnan(clip.opening)
        correlations.append(np.corrcoef(mouth_opening(points)[known], clip.opening[known])[0, 1])
        closed, seen = closed + blinks(eye_aspect_ratio(points)), seen + len(expression)
    gaps = [np.square(a - b).mean() for a, b in zip(made, reference, strict=True)]
    return {
        "mouth_corr": round(float(np.mean(correlations)), 4),
        "blinks_per_s": round(closed * FPS / seen, 4),
        "distance": round(float(np.sqrt(np.mean(gaps))), 4),
    }


def draw(rows: list[dict[str, object]], truth: float, path: Path) -> None:
    """Three panels over the number of steps."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    default = SamplerConfig()
    figure, axes = plt.subplots(1, 3, figsize=(11, 3.2), constrained_layout=True)
    titles = ("mouth opening: correlation", "blinks a second", f"distance to {STEPS[-1]} steps of DDIM (rms)")
    for axis, field, title in zip(axes, FIELDS[2:], titles, strict=True):
        for sampler in sampler_names():
            points = [(r["steps"], r[field]) for r in rows if r["sampler"] == sampler]
            axis.plot(*zip(*points, strict=True), marker="o", markersize=3, label=sampler)
        axis.axvline(default.steps, color="0.8", zorder=0)
        axis.set(title=title, xlabel="steps", xscale="log", xticks=STEPS)
        axis.set_xticks(STEPS, [str(steps) for steps in STEPS])
        axis.minorticks_off()
    axes[1].axhline(truth, color="0.4", linestyle=":", label="recorded")
    for axis in axes:
        axis.set_ylim(0, 1.08 * axis.dataLim.y1)
    figure.legend(*axes[1].get_legend_handles_labels(), loc="outside right center", frameon=False)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=150)
    plt.close(figure)


def main() -> None:
    """Measure, write the table, draw it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="path without suffix")
    parser.add_argument("--dataset", type=Path, nargs="*", default=[])
    parser.add_argument("--videos", help="pattern of video files")
    parser.add_argument("--checkpoint", type=Path, default=DEFAULT)
    parser.add_argument("--seeds", type=int, default=2)
    given = parser.parse_args()
    clips = [clip for root in given.dataset for clip in of_dataset(root)]
    clips += [of_video(Path(path)) for path in sorted(glob.glob(given.videos or ""))]  # noqa: PTH207
    if not clips:
        raise SystemExit("no clips: give --dataset or --videos")
    model, rows = load_checkpoint(given.checkpoint), []
    truth = sum(blinks(clip.eyes) for clip in clips) * FPS / sum(len(clip.eyes) for clip in clips)
    reference = generated(clips, model, "ddim", STEPS[-1], given.seeds)
    for sampler in sampler_names():
        for steps in STEPS:
            known = (sampler, steps) == ("ddim", STEPS[-1])
            made = reference if known else generated(clips, model, sampler, steps, given.seeds)
            rows.append({"sampler": sampler, "steps": steps, **row(clips, made, reference)})
            sys.stdout.write(f"{rows[-1]}\n")
            sys.stdout.flush()
    rows_out: list[dict[str, object]] = [dict(one) for one in rows]
    with atomic_path(given.out.with_suffix(".csv")) as temporary, temporary.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, FIELDS)
        writer.writeheader()
        writer.writerows(rows_out)
    draw(rows_out, truth, given.out.with_suffix(".png"))
    sys.stdout.write(f"{len(clips)} clips, {truth:.2f} blinks a second recorded; {given.out.with_suffix('.png')}\n")


if __name__ == "__main__":
    main()
