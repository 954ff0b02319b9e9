"""Material from BFM coefficient files (X.mat) and the videos that they were made of (X.mp4).

Openings of mouth and eyes are measured on the tracked video. A file's frames may begin some frames after its video's
(those of StyleTalk do, by two), so the shift at which the coefficients follow the openings best is found, and noted.
"""

import csv
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np

from chdtf.errors import UserError
from chdtf.faces import track_landmarks
from chdtf.media import UnreadableError, frames, probe
from chdtf.morphable.exchange.mat import read_mat
from chdtf.morphable.model import load_model
from disenttalk_ref.disentangle.material import FaceClip, Material, account, fingerprint_of, too_short
from disenttalk_ref.disentangle.points import Points, openings

log = logging.getLogger(__name__)

MODEL = "bfm"
MAX_SHIFT = 5  # frames
MIN_AGREEMENT = 0.5  # of openings with what the coefficients tell of them; own videos 0.87 and more, others' up to 0.36
_FOLDS = 4
EDITED = (".lip", ".eye")  # an edited copy's name ends so, before its suffix
_RATES = (25.0, 30.0)

Tracker = Callable[[Path], tuple[np.ndarray, float]]


def from_folder(folder: Path, tracker: Tracker | None = None) -> Material:
    """Every X.mat of a folder that has its video beside it; the others are left out, with the reason.

    The speaker of X is what stands before the first underscore of its name, unless `speakers.csv` (columns `file` and
    `speaker`) says otherwise.

    Raises:
        UserError: if the folder holds no .mat, or a file is of another shape.

    """
    paths = [path for path in sorted(folder.glob("*.mat")) if not path.stem.endswith(EDITED)]
    if not paths:
        raise UserError(f"{folder}: holds neither a dataset nor .mat files; give what disentbench build made")
    speakers, points = speakers_in(folder), known_points()
    clips, left_out, notes = [], [], []
    for path in paths:
        video = path.with_suffix(".mp4")
        if not video.is_file():
            left_out.append((path.stem, f"{video.name} is missing, and with it the openings"))
            continue
        try:
            clip, shift = _clip(path, video, speakers, points, tracker or track)
        except (UserError, UnreadableError) as error:
            left_out.append((path.stem, str(error)))
            continue
        if why := too_short(clip):
            left_out.append((path.stem, why))
            continue
        clips.append(clip)
        notes.append(f"{path.stem}: coefficient frame 0 is video frame {shift}")
    source = account(folder.resolve().name, fingerprint_of(paths), clips, left_out, notes)
    return Material(MODEL, points.model.hash if points else None, points, tuple(clips), (source,))


def known_points() -> Points | None:
    """The model's landmarks, or None where the user has not supplied the model's file."""
    try:
        return Points(load_model(MODEL))
    except UserError as error:
        log.info("without the bfm model: %s", error)
        return None


def track(video: Path) -> tuple[np.ndarray, float]:
    """Openings (T, 2) of a video, NaN where no face was found, and its frames per second."""
    fps = probe(video).fps
    return openings(track_landmarks(frames(video, fps))), fps


def shift_of(opening: np.ndarray, expression: np.ndarray, max_shift: int = MAX_SHIFT) -> tuple[int, float]:
    """How many frames after the video the coefficients begin, and how well they follow it then.

    Args:
        opening: (V, 2), NaN where unknown.
        expression: (T, K).
        max_shift: frames to try on either side.

    Returns:
        (shift, agreement): coefficient frame i is video frame i + shift; agreement is the mean over mouth and eyes of
        the correlation between the opening and its estimate from the coefficients, by least squares (with a ridge) on
        the other three quarters of the clip.

    """
    tried = [(_agreement(opening, expression, shift), -abs(shift), shift) for shift in range(-max_shift, max_shift + 1)]
    best, _, shift = max(tried)
    return shift, best


def _agreement(opening: np.ndarray, expression: np.ndarray, shift: int) -> float:
    first, last = max(0, shift), min(len(opening), len(expression) + shift)
    if last - first < 2:
        return 0.0
    seen, told = opening[first:last], expression[first - shift : last - shift].astype(np.float64)
    known = np.isfinite(seen).all(axis=1)
    if known.sum() < 2 * _FOLDS:
        return 0.0
    seen, told = seen[known], told[known]
    fold = np.arange(len(seen)) * _FOLDS // len(seen)
    estimate = np.zeros_like(seen)
    for number in range(_FOLDS):
        others = fold != number
        estimate[~others] = _estimate(told[others], seen[others], told[~others])
    seen, estimate = seen - seen.mean(0), estimate - estimate.mean(0)
    power = np.sqrt(np.square(seen).sum(0) * np.square(estimate).sum(0))
    agreement = (seen * estimate).sum(0) / np.where(power > 0, power, 1.0)
    return float(agreement.mean())


def _estimate(told: np.ndarray, seen: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Openings (F, 2) of coefficients `new` (F, K), learnt from coefficients (T, K) and openings (T, 2)."""
    centre = told.mean(0)
    gram = (told - centre).T @ (told - centre)
    ridge = 0.01 * np.trace(gram) / len(gram) + 1e-12
    weight = np.linalg.solve(gram + ridge * np.eye(len(gram)), (told - centre).T @ (seen - seen.mean(0)))
    estimate: np.ndarray = (new - centre) @ weight
    return estimate


def _clip(
    path: Path, video: Path, speakers: dict[str, str], points: Points | None, tracker: Tracker
) -> tuple[FaceClip, int]:
    read, _ = read_mat(path)
    seen, fps = tracker(video)
    seen = _at_rate_of(seen, fps, read.num_frames, path, video)
    shift, agreement = shift_of(seen, read.expression)
    if agreement < MIN_AGREEMENT:
        raise UserError(
            f"{path.name} does not follow {video.name} (correlation of openings {agreement:.2f}, {MIN_AGREEMENT} are "
            "needed); give each file the video that it was made of"
        )
    frames_of = np.arange(read.num_frames) + shift
    inside = (frames_of >= 0) & (frames_of < len(seen))
    opening = np.full((read.num_frames, 2), np.nan)
    opening[inside] = seen[frames_of[inside]]
    keep = read.valid & np.isfinite(opening).all(axis=1)
    neutral = None
    if points is not None and read.identity is not None:
        neutral = points.neutral(read.identity[read.valid].mean(0))
    speaker = speaker_of(path.stem, speakers)
    return FaceClip(path.stem, speaker, read.expression[keep], opening[keep], neutral), shift


def _at_rate_of(seen: np.ndarray, fps: float, num_frames: int, path: Path, video: Path) -> np.ndarray:
    """The openings at the rate that the coefficients have, told by the number of their frames."""
    for rate in (fps, *_RATES):
        count = round(len(seen) * rate / fps)
        if abs(count - num_frames) <= MAX_SHIFT:
            at = np.round(np.arange(count) * fps / rate).astype(int)
            matched: np.ndarray = seen[np.minimum(at, len(seen) - 1)]
            return matched
    raise UserError(
        f"{path.name} has {num_frames} frames, {video.name} {len(seen)} at {fps:g} frames/s: at neither its "
        "rate nor 25 or 30 frames/s do they belong together; give the video that the file was made of"
    )


def speaker_of(stem: str, speakers: dict[str, str]) -> str:
    """Who speaks in a file: as `speakers.csv` says, or what stands before the first underscore of its name."""
    return speakers.get(stem, stem.partition("_")[0])


def speakers_in(folder: Path) -> dict[str, str]:
    """File stem -> speaker of `speakers.csv`, empty where there is none. Raises `UserError` if it lacks the columns."""
    path = folder / "speakers.csv"
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    if not rows or not {"file", "speaker"} <= set(rows[0]):
        raise UserError(f"{path}: needs the columns file and speaker")
    return {Path(row["file"]).stem: row["speaker"] for row in rows}
