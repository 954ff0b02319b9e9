"""Delta from pairs of videos, as in the paper: original and edited, made by the user with an editing model.

In the folder, ORIGINAL.mp4 has ORIGINAL.lip.mp4 (lips closed), ORIGINAL.eye.mp4 (eyes closed), or both, with the same
frames. Both are tracked and fitted with the original's identity; Delta is the difference frame by frame, matched by
time (25 frames/s). Instead of videos there may be coefficients (ORIGINAL.mat, ...), for bfm; or two datasets `lip` and
`eye`, built from the edited videos, whose clips have the ids of the original ones.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from chdtf.clip import read_clips, read_description
from chdtf.errors import UserError
from chdtf.faces import track_landmarks
from chdtf.media import UnreadableError, frames
from chdtf.morphable.exchange.mat import read_mat
from chdtf.morphable.similarity import fit_similarity
from chdtf.schema import NUM_VERTICES
from disenttalk_ref.disentangle.bfm import MAX_SHIFT, MODEL, speaker_of, speakers_in
from disenttalk_ref.disentangle.datasets import fit
from disenttalk_ref.disentangle.evidence import Evidence, evidence
from disenttalk_ref.disentangle.material import Source, fingerprint_of
from disenttalk_ref.disentangle.points import REGIONS, Points

VIDEOS = (".mp4", ".mov", ".mkv", ".avi", ".webm", ".mpg", ".mpeg")
_ROUNDS = 3
_CLEARLY_BETTER = 0.5  # another shift, when it leaves less than this share of the difference in head pose
Tracker = Callable[[Path], np.ndarray]


@dataclasses.dataclass(frozen=True, eq=False)
class Fitted:
    """One video of a pair: T frames."""

    expression: np.ndarray  # (T, K)
    pose: np.ndarray  # (T, P) where the head is; an edit of lips or lids leaves it
    valid: np.ndarray  # (T,) bool


@dataclasses.dataclass(frozen=True, eq=False)
class Pairs:
    """What every pair says, and an account of them."""

    found: tuple[Evidence, ...]
    source: Source


def from_pairs(
    folder: Path, points: Points | None, originals: Sequence[Path] = (), tracker: Tracker | None = None
) -> Pairs:
    """Measure the pairs in a folder.

    Args:
        folder: see the module.
        points: of the model to fit; None for bfm coefficients.
        originals: datasets that hold the original clips, where `folder` holds two datasets.
        tracker: video -> landmarks (T, 478, 3); default MediaPipe at 25 frames/s.

    Raises:
        UserError: if a partner is missing, two videos of a pair have different lengths or are shifted against each
            other, or a region has no pair at all; files are named.

    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; name the one that holds the pairs")
    if read_description(folder / "lip") or read_description(folder / "eye"):
        found = _of_datasets(folder, points, originals)
        roots = [folder / region for region in REGIONS]
        fingerprint = " ".join(str((read_description(root) or {}).get("fingerprint", "")) for root in roots).strip()
    else:
        coefficients = points is None or (points.model.name == MODEL and any(folder.glob("*.mat")))
        suffixes = (".mat",) if coefficients else VIDEOS
        found = _of_files(folder, suffixes, points, _reader(points, tracker or _track))
        fingerprint = fingerprint_of(_files(folder, suffixes))
    for region, name in enumerate(REGIONS):
        if not any(one.changed[region] for one in found):
            raise UserError(f"{folder}: no pair for the region {name!r}; add ORIGINAL.{name}.mp4 beside ORIGINAL.mp4")
    frames, names = sum(one.frames for one in found), tuple(one.clip_id for one in found)
    return Pairs(tuple(found), Source(folder.resolve().name, fingerprint, len(found), frames, names))


Reader = Callable[[Path, "np.ndarray | None"], "tuple[Fitted, np.ndarray | None]"]  # with an identity, or its own


def _of_files(folder: Path, suffixes: Sequence[str], points: Points | None, read: Reader) -> list[Evidence]:
    edits, originals = _sorted_files(folder, suffixes)
    speakers, found = speakers_in(folder), []
    for stem, path in originals.items():
        original, neutral = read(path, None)
        changes: list[np.ndarray | None] = []
        for region in REGIONS:
            partner = edits.get((stem, region))
            if partner is None:
                changes.append(None)
                continue
            delta = difference(original, read(partner, neutral)[0], path.name, partner.name)
            changes.append(delta if points is None else delta * points.seen)
        found.append(evidence(stem, speaker_of(stem, speakers), original.expression[original.valid], changes))
    return found


def _sorted_files(folder: Path, suffixes: Sequence[str]) -> tuple[dict[tuple[str, str], Path], dict[str, Path]]:
    """Edited files by (original, region), and originals; refused when one stands alone."""
    edits: dict[tuple[str, str], Path] = {}
    originals: dict[str, Path] = {}
    for path in _files(folder, suffixes):
        stem, _, region = path.stem.rpartition(".")
        if stem and region in REGIONS:
            edits[stem, region] = path
        else:
            originals[path.stem] = path
    if not edits:
        wanted = f"X{suffixes[0]} with X.lip{suffixes[0]} and X.eye{suffixes[0]}"
        raise UserError(f"{folder}: holds no pairs; expected {wanted}, or the datasets lip and eye")
    for (stem, _), path in edits.items():
        if stem not in originals:
            raise UserError(f"{path.name}: its original {stem}{path.suffix} is missing from {folder}; add it")
    for stem, path in originals.items():
        if not any((stem, region) in edits for region in REGIONS):
            wanted = f"{stem}.lip{path.suffix} or {stem}.eye{path.suffix}"
            raise UserError(f"{path.name}: has no edited partner in {folder}; add {wanted}, or take it away")
    return edits, originals


def _files(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    return [path for path in sorted(folder.glob("*")) if path.suffix.lower() in suffixes]


def difference(original: Fitted, edited: Fitted, name: str, edited_name: str) -> np.ndarray:
    """Delta (F, K) in the frames where both have a face: original minus edited. Raises `UserError` as `from_pairs`."""
    if original.expression.shape[1] != edited.expression.shape[1]:
        raise UserError(
            f"{name} has {original.expression.shape[1]} expression dimensions, {edited_name} "
            f"{edited.expression.shape[1]}: they are of two models; make both with one"
        )
    lengths = len(original.valid), len(edited.valid)
    if abs(lengths[0] - lengths[1]) > 1:  # containers round the last frame
        raise UserError(
            f"{edited_name} has {lengths[1]} frames, {name} {lengths[0]}: an edited video holds the same frames; cut "
            "both alike"
        )
    shift = _shift(original, edited)
    if shift:
        late = f"{abs(shift)} frames {'late' if shift > 0 else 'early'}"
        raise UserError(f"{edited_name} is {late} against {name}, by the head's motion; cut both at the same frame")
    count = min(lengths)
    both = original.valid[:count] & edited.valid[:count]
    if not both.any():
        raise UserError(f"{edited_name} and {name}: no frame where both have a face; give others")
    apart: np.ndarray = (original.expression[:count] - edited.expression[:count])[both].astype(np.float64)
    return apart


def _shift(original: Fitted, edited: Fitted) -> int:
    """By how many frames the edited video is late, where that explains the heads' motion clearly better than 0."""
    scale = original.pose[original.valid].std(0)
    moving = scale > 0
    if not moving.any():
        return 0
    left: dict[int, float] = {}
    for shift in range(-MAX_SHIFT, MAX_SHIFT + 1):
        first, last = max(0, -shift), min(len(original.valid), len(edited.valid) - shift)
        if last - first < 2 * MAX_SHIFT:
            continue
        a, b = slice(first, last), slice(first + shift, last + shift)
        both = original.valid[a] & edited.valid[b]
        if both.any():
            apart = ((original.pose[a] - edited.pose[b])[both] / np.where(moving, scale, 1.0))[:, moving]
            left[shift] = float(np.square(apart - apart.mean(0)).mean())
    best = min(left, key=lambda shift: (left[shift], abs(shift)), default=0)
    return best if best and left[best] < _CLEARLY_BETTER * left.get(0, np.inf) else 0


def _reader(points: Points | None, tracker: Tracker) -> Reader:
    def read(path: Path, neutral: np.ndarray | None) -> tuple[Fitted, np.ndarray | None]:
        if points is None or path.suffix == ".mat":
            return _of_mat(path), None
        try:
            return fitted(tracker(path), points, neutral, path.name)
        except UnreadableError as error:
            raise UserError(f"{path}: {error}; give a video that FFmpeg can decode") from error

    return read


def _track(path: Path) -> np.ndarray:
    return track_landmarks(frames(path))


def _of_mat(path: Path) -> Fitted:
    read, _ = read_mat(path)
    pose = np.concatenate([part for part in (read.angle, read.translation) if part is not None] or [read.expression], 1)
    return Fitted(read.expression, pose, read.valid)


def fitted(landmarks: np.ndarray, points: Points, neutral: np.ndarray | None, name: str) -> tuple[Fitted, np.ndarray]:
    """Pose and expression of a tracked video, (T, 478, 3) px, and its neutral face (M, 3), which may be given.

    Similarity alignment and least squares take turns. Raises `UserError` if no frame has a face.
    """
    model = points.model
    valid = np.isfinite(landmarks[:, :NUM_VERTICES]).all(axis=(1, 2))
    if not valid.any():
        raise UserError(f"{name}: no face in {len(landmarks)} frames; give a video of one face")
    if neutral is None:
        neutral = points.neutral(fit(landmarks, model).identity)
    tracked = landmarks[valid][:, model.landmark_map.landmarks].astype(np.float64)
    expression = np.zeros((len(tracked), model.num_expression))
    for _ in range(_ROUNDS):
        pose = fit_similarity(neutral + points.offsets(expression), tracked, model.alignment_weights)
        expression = points.expression(pose.undo(tracked) - neutral)
    where = np.concatenate([Rotation.from_matrix(pose.rotation).as_rotvec(), pose.translation], axis=1)
    full = np.zeros((len(valid), expression.shape[1])), np.zeros((len(valid), where.shape[1]))
    full[0][valid], full[1][valid] = expression, where
    return Fitted(full[0], full[1], valid), neutral


def _of_datasets(folder: Path, points: Points | None, originals: Sequence[Path]) -> list[Evidence]:
    if points is None:
        raise UserError(f"{folder}: datasets hold landmarks, and bfm cannot be fitted to them without its file")
    wanted = {clip.clip_id: clip for root in originals for clip in read_clips(root)}
    edited: Mapping[str, dict[str, np.ndarray]] = {region: {} for region in REGIONS}
    for region in REGIONS:
        if not read_description(folder / region):
            continue
        for clip in read_clips(folder / region):
            if clip.clip_id not in wanted:
                raise UserError(f"{folder / region}: clip {clip.clip_id} has no original in the data; build both alike")
            edited[region][clip.clip_id] = clip.landmarks()
    found = []
    for name in sorted({name for clips in edited.values() for name in clips}):
        original, neutral = fitted(wanted[name].landmarks(), points, None, name)
        changes = [
            difference(original, fitted(edited[r][name], points, neutral, f"{r}/{name}")[0], name, f"{r}/{name}")
            * points.seen
            if name in edited[r]
            else None
            for r in REGIONS
        ]
        found.append(evidence(name, wanted[name].speaker_id, original.expression[original.valid], changes))
    return found
