"""Material from datasets built by disentbench."""

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from chdtf.clip import Clip, read_clips, read_description
from chdtf.errors import UserError
from chdtf.morphable.coefficients import Coefficients
from chdtf.morphable.model import FaceModel, load_model
from disenttalk_ref.disentangle.material import FaceClip, Material, face_clip, gather
from disenttalk_ref.disentangle.points import Points

log = logging.getLogger(__name__)


def from_dataset(root: Path, model_name: str | None = None, split: str | None = "train") -> Material:
    """Clips of a dataset in its own face model, or fitted anew to another one from their landmarks.

    Args:
        root: folder of a built dataset.
        model_name: name or file of the face model; None: the one that the dataset's coefficients are in.
        split: "train", "val", "test", or None for all.

    Raises:
        UserError: if there is no dataset, it mixes face models (all are named), or its model is not at hand.

    """
    clips = read_clips(root, split)
    stored = models_of(root)
    if not clips or not stored:
        raise UserError(f"{root}: no clips in split {split or 'all'!r}; choose another with --split, or build more")
    if model_name is None and len(stored) > 1:
        named = " and ".join(f"{name} {digest[:12]}" for name, digest in stored)
        raise UserError(f"{root}: its coefficients are in {named}; fit all to one of them with --model, or rebuild it")
    model = load_model(model_name or stored[0][0])
    points = Points(model)
    as_stored = stored == [(model.name, model.hash)]
    if model_name is None and not as_stored:
        name, digest = stored[0]
        raise UserError(
            f"{root}: coefficients were made with face model {name} {digest[:12]}, this one is {model.name} "
            f"{model.hash[:12]}; run the fit stage again, or fit them anew with --model {name}"
        )
    description = read_description(root) or {}
    left_out: list[tuple[str, str]] = []
    found = list(_fitted(clips, model, points, as_stored, left_out))
    return gather(found, model, points, root.resolve().name, str(description.get("fingerprint", "")), left_out)


def _fitted(
    clips: list[Clip], model: FaceModel, points: Points, as_stored: bool, left_out: list[tuple[str, str]]
) -> Iterator[FaceClip]:
    for clip in clips:
        landmarks = None if as_stored else clip.landmarks()
        if landmarks is not None and not np.isfinite(landmarks).all(axis=(1, 2)).any():
            left_out.append((clip.clip_id, f"none of {len(landmarks)} frames has landmarks"))
            continue
        coefficients = clip.coefficients() if landmarks is None else fit(landmarks, model)
        yield face_clip(clip.clip_id, clip.speaker_id, coefficients, points)


def fit(landmarks: np.ndarray, model: FaceModel) -> Coefficients:
    """Fit a tracked clip, (T, 478, 3) px, to any model."""
    from chdtf.morphable.fitting import fit_clip  # imports torch

    return fit_clip(landmarks, model)


def models_of(root: Path) -> list[tuple[str, str]]:
    """(name, hash) of every face model that a dataset's coefficients are in, most common first."""
    count: dict[tuple[str, str], int] = {}
    for path in sorted((root / "coeffs").glob("*.parquet")):
        for row in pq.read_table(path, columns=["face_model", "face_model_hash"]).to_pylist():
            key = (row["face_model"], row["face_model_hash"])
            count[key] = count.get(key, 0) + 1
    return sorted(count, key=lambda key: (-count[key], key))
