"""What a run learns from and is judged on: clips of published datasets, checked, and one fingerprint of them all."""

import hashlib
import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from chdtf.clip import read_clips
from chdtf.dataset import MotionClip, MotionDataset
from chdtf.errors import UserError
from chdtf.morphable.model import DEFAULT_MODEL, FaceModel, load_model
from chdtf.schema import FPS
from disenttalk_ref.audio import Features
from disenttalk_ref.train.alignment import Aligner, Offset, align
from disenttalk_ref.train.config import TrainConfig
from disenttalk_ref.train.rows import read_features

log = logging.getLogger(__name__)

MANDARIN = ("cmn", "zh")  # language codes that the ablation `chdtf` leaves out
HELD_OUT_SHARE = 0.05  # of the train split, where there is no val split


@dataclass(frozen=True)
class TrainingData:
    """Clips to learn from and clips to validate on; `features` by clip id where the extractor's are cached."""

    clips: tuple[MotionClip, ...]
    held: tuple[MotionClip, ...] = ()
    held_from: str = ""  # where `held` comes from, one line; empty: no validation
    features: Mapping[str, np.ndarray] = field(default_factory=dict)  # (T, A)
    offsets: Mapping[str, Offset] = field(default_factory=dict)  # by clip id, of all clips that were measured
    account: dict[str, Any] = field(default_factory=dict)  # more for the checkpoint's account
    subspaces: str = ""  # where the regions come from

    @property
    def fingerprint(self) -> str:
        """Hex SHA-256 of the clips learned from: ids, speech, expression, pose, valid frames."""
        return fingerprint(self.clips)

    def counts(self) -> dict[str, Any]:
        """What a model saw, for its header and card."""
        languages = sorted({clip.language for clip in self.clips})
        by_language = {name: [clip.seconds for clip in self.clips if clip.language == name] for name in languages}
        found = {
            **self.account,
            "clips": len(self.clips),
            "speakers": len({clip.speaker_id for clip in self.clips}),
            "seconds": round(sum(clip.seconds for clip in self.clips), 1),
            "seconds_by_language": {name: round(sum(seconds), 1) for name, seconds in by_language.items()},
            "clip_ids": sorted(clip.clip_id for clip in self.clips),
            "validation": self.held_from,
            "validation_clip_ids": sorted(clip.clip_id for clip in self.held),
        }
        if self.offsets:
            used = {*found["clip_ids"], *found["validation_clip_ids"]}
            measured = dict(sorted(self.offsets.items()))
            found["offset_frames"] = {name: offset.frames for name, offset in measured.items() if name in used}
            found["out_of_sync_clip_ids"] = [name for name in measured if name not in used]
        return found


def fingerprint(clips: Iterable[MotionClip]) -> str:
    """Hex SHA-256 of the content of clips, whatever their order."""
    of_clips = []
    for clip in clips:
        digest = hashlib.sha256()
        for array in (clip.waveform, clip.expression, clip.pose, clip.valid):
            digest.update(f"{array.dtype}{array.shape}".encode() + np.ascontiguousarray(array).tobytes())
        of_clips.append(f"{clip.clip_id} {clip.language} {digest.hexdigest()}")
    return hashlib.sha256("\n".join(sorted(of_clips)).encode()).hexdigest()


def read_data(config: TrainConfig, features: Features) -> tuple[TrainingData, FaceModel]:
    """The data of a run, and the face model that it is fitted with.

    Validation is on the val split of the datasets, or on a twentieth of the train split (at least one clip, chosen by
    hash of the clip id, then not trained on) where that is empty. With `max_offset` its clips are brought into sync by
    what was learnt from the training clips, and left out as those are.

    Raises `UserError` when a dataset is missing or empty, the datasets mix face models or have another one than mp468,
    a clip comes twice or holds NaN, no clip is as long as a window, there is no Mandarin for the ablation `chdtf` to
    leave out, or features are not cached that have to be.
    """
    dataset = MotionDataset(config.data, split="train")
    face = load_model(DEFAULT_MODEL)
    if dataset.face_model_hash != face.hash:
        raise UserError(
            f"the data is fitted with {dataset.face_model} {dataset.face_model_hash[:12]}, the model moves {face.name} "
            f"{face.hash[:12]}; build the data with --set fit.face_model={face.name}"
        )
    clips = [dataset[index] for index in range(len(dataset))]
    names = [Path(root).name for root in config.data]
    _check_ids(clips, names)
    if "chdtf" in config.ablate:
        clips = without_mandarin(clips)
    check_clips(clips, config.window_frames)
    rows = None if features.on_the_fly else read_features(config.data, features, clips)
    offsets: dict[str, Offset] = {}
    aligner = None
    if config.max_offset:
        clips, offsets, aligner = align(clips, face, config.max_offset)
        if rows is not None:
            rows = rows.in_sync({name: offset.frames for name, offset in offsets.items()})
    clips, held, held_from, more = _hold_out(config, clips, aligner)
    data = TrainingData(tuple(clips), tuple(held), held_from, rows or {}, {**offsets, **more}, {"datasets": names})
    log.info("%d clips to learn from; validation: %s", len(data.clips), held_from or "none")
    return data, face


def is_mandarin(language: str) -> bool:
    """Whether a language code, such as zh-Hans, is one of Mandarin."""
    return language.lower().split("-")[0] in MANDARIN


def without_mandarin(clips: Sequence[MotionClip]) -> list[MotionClip]:
    """The clips of other languages. Raises `UserError` when all or none are Mandarin."""
    kept = [clip for clip in clips if not is_mandarin(clip.language)]
    if len(kept) in (0, len(clips)):
        found = ", ".join(sorted({clip.language for clip in clips}))
        what = "no clip is Mandarin" if kept else "every clip is Mandarin"
        raise UserError(f"ablate chdtf: {what} ({' or '.join(MANDARIN)}); the languages here are {found}")
    return kept


def check_clips(clips: Sequence[MotionClip], window_frames: int) -> None:
    """Raise `UserError` when a clip holds NaN or no valid frame, or none is as long as a window."""
    for clip in clips:
        for name in ("waveform", "expression", "pose"):
            good = np.isfinite(getattr(clip, name).reshape(len(getattr(clip, name)), -1)).all(1)
            if not good.all():
                where = f"{name}[{int(np.argmin(good))}]"
                raise UserError(f"clip {clip.clip_id}: {where} is not finite; build its dataset again, or purge it")
    longest = max(len(clip.valid) for clip in clips)
    if longest < window_frames:
        raise UserError(
            f"the longest of {len(clips)} clips has {longest} frames ({longest / FPS:.2f} s), a window has "
            f"{window_frames}; lower --window-frames, or build longer clips"
        )


def _hold_out(
    config: TrainConfig, clips: list[MotionClip], aligner: Aligner | None
) -> tuple[list[MotionClip], list[MotionClip], str, dict[str, Offset]]:
    """Clips to learn from, clips to validate on, where those come from, and offsets measured for it."""
    if not (config.validate_every and config.validate_clips):
        return clips, [], "", {}
    if ids := [clip.clip_id for root in config.data for clip in read_clips(root, "val")]:
        val, seen = MotionDataset(config.data, split="val"), {clip.clip_id for clip in clips}
        unseen = [index for index in range(len(ids)) if ids[index] not in seen]
        chosen = sorted(unseen, key=lambda index: _hash(ids[index]))[: config.validate_clips]
        held, offsets = [val[index] for index in chosen], dict[str, Offset]()
        if aligner:
            held, offsets = aligner.align(held)
        return clips, held, f"{len(held)} of {len(ids)} clips of the val split" if held else "", offsets
    if len(clips) < 2:
        return clips, [], "", {}
    count = min(config.validate_clips, max(1, int(len(clips) * HELD_OUT_SHARE)))
    held = sorted(clips, key=lambda clip: _hash(clip.clip_id))[:count]
    names = {clip.clip_id for clip in held}
    what = f"{count} of {len(clips)} clips of the train split, held out because the val split is empty"
    return [clip for clip in clips if clip.clip_id not in names], held, what, {}


def _hash(clip_id: str) -> str:
    return hashlib.sha256(clip_id.encode()).hexdigest()


def _check_ids(clips: Sequence[MotionClip], names: Sequence[str]) -> None:
    """Raise `UserError` when a clip comes twice."""
    counts = Counter(clip.clip_id for clip in clips)
    twice = sorted(clip_id for clip_id, count in counts.items() if count > 1)
    if twice:
        raise UserError(f"{len(twice)} clips come twice in {', '.join(names)}, {twice[0]} among them; name one dataset")
