"""What the measurements need of the footage: expressions and openings, clip by clip, and an account of the data."""

import dataclasses
import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from chdtf.errors import UserError
from chdtf.files import sha256_file
from chdtf.morphable.coefficients import Coefficients
from chdtf.morphable.model import FaceModel
from disenttalk_ref.disentangle.points import Points

MIN_FRAMES = 25  # a second; shorter clips say little of openings


@dataclasses.dataclass(frozen=True, eq=False)
class FaceClip:
    """The frames of one clip that have a face: T of them, K expression dimensions."""

    clip_id: str
    speaker_id: str
    expression: np.ndarray  # (T, K) float32
    opening: np.ndarray  # (T, 2) float64: mouth opening, eye aspect ratio
    neutral: np.ndarray | None  # (M, 3) float64, the face without expression at the model's landmarks, if it is known

    def part(self, frames: slice) -> "FaceClip":
        """A stretch of it."""
        return dataclasses.replace(self, expression=self.expression[frames], opening=self.opening[frames])


@dataclasses.dataclass(frozen=True)
class Source:
    """One dataset or folder that clips were taken from, without a path of the machine."""

    name: str
    fingerprint: str  # of a dataset, or hash of the files' names and contents
    clips: int
    frames: int
    clip_ids: tuple[str, ...]
    left_out: tuple[tuple[str, str], ...] = ()  # (clip, reason)
    notes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, eq=False)
class Material:
    """Clips of one face model. `points` is None when the model's file is not at hand; `hash` likewise for bfm."""

    face_model: str
    face_model_hash: str | None
    points: Points | None
    clips: tuple[FaceClip, ...]
    sources: tuple[Source, ...]

    @property
    def num_expression(self) -> int:
        """K."""
        return int(self.clips[0].expression.shape[1])

    @property
    def frames(self) -> int:
        """Frames of all clips."""
        return sum(len(clip.expression) for clip in self.clips)

    @property
    def speakers(self) -> tuple[str, ...]:
        """Speakers, each once."""
        return tuple(sorted({clip.speaker_id for clip in self.clips}))


def face_clip(clip_id: str, speaker_id: str, coefficients: Coefficients, points: Points) -> FaceClip:
    """The valid frames of a fitted clip; openings are read from the fitted face as it looks at the viewer."""
    expression = coefficients.expression[coefficients.valid]
    neutral = points.neutral(coefficients.identity)
    return FaceClip(clip_id, speaker_id, expression, points.opening(neutral, expression), neutral)


def too_short(clip: FaceClip) -> str | None:
    """Why a clip cannot be used, or None."""
    if len(clip.expression) < MIN_FRAMES:
        return f"{len(clip.expression)} frames with a face; {MIN_FRAMES} are needed"
    return None


def merge(parts: Sequence[Material]) -> Material:
    """Several materials as one.

    Raises:
        UserError: if they are of different models, both named, or hold no clip.

    """
    first = parts[0]
    for other in parts[1:]:
        if (other.face_model, other.face_model_hash) != (first.face_model, first.face_model_hash):
            raise UserError(
                f"{_names(first)} is in face model {_label(first)}, {_names(other)} in {_label(other)}: coefficients "
                "of two models cannot be mixed; give one of them, or, of two datasets, fit both to one with --model"
            )
    merged = Material(
        first.face_model,
        first.face_model_hash,
        first.points,
        tuple(clip for part in parts for clip in part.clips),
        tuple(source for part in parts for source in part.sources),
    )
    if not merged.clips:
        reasons = "; ".join(f"{clip}: {why}" for source in merged.sources for clip, why in source.left_out[:3])
        raise UserError(f"{_names(merged)}: no usable clip{f' ({reasons})' if reasons else ''}")
    return merged


def from_coefficients(
    clips: Sequence[tuple[str, str, Coefficients]], model: FaceModel, name: str, fingerprint: str = ""
) -> Material:
    """Material from coefficients in memory: (clip id, speaker id, coefficients)."""
    points = Points(model)
    found = [face_clip(clip, speaker, coefficients, points) for clip, speaker, coefficients in clips]
    return gather(found, model, points, name, fingerprint)


def gather(
    found: Sequence[FaceClip],
    model: FaceModel,
    points: Points,
    name: str,
    fingerprint: str,
    left_out: Sequence[tuple[str, str]] = (),
) -> Material:
    """Material of one source; clips that are too short are left out, with the reason."""
    clips = tuple(clip for clip in found if too_short(clip) is None)
    short = tuple((clip.clip_id, why) for clip in found if (why := too_short(clip)))
    source = account(name, fingerprint, clips, (*left_out, *short))
    return Material(model.name, model.hash, points, clips, (source,))


def fingerprint_of(paths: Sequence[Path]) -> str:
    """Hash of the names and contents of files."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{path.name} {sha256_file(path)}\n".encode())
    return digest.hexdigest()


def account(
    name: str,
    fingerprint: str,
    clips: Sequence[FaceClip],
    left_out: Sequence[tuple[str, str]],
    notes: Sequence[str] = (),
) -> Source:
    """What was used of one source."""
    frames = sum(len(clip.expression) for clip in clips)
    return Source(name, fingerprint, len(clips), frames, tuple(c.clip_id for c in clips), tuple(left_out), tuple(notes))


def _names(material: Material) -> str:
    return ", ".join(source.name for source in material.sources)


def _label(material: Material) -> str:
    return f"{material.face_model} {(material.face_model_hash or '')[:12] or '(its file is not at hand)'}"
