"""What a method is given for each clip: files below the folder of results, written once and shared by all methods."""

import dataclasses
import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2

from baselines.inputs import Input, Unavailable, get_input
from baselines.inputs.source import Source
from baselines.method import Method
from chdtf.clip import Clip
from chdtf.files import atomic_path, sha256_file


@dataclasses.dataclass(frozen=True)
class Item:
    """What a method gets for one clip: a source image, speech, and the reference video for video-driven methods."""

    clip_id: str
    image: Path  # PNG, 256x256, the clip's first frame
    audio: Path  # WAV, 16 kHz mono
    video: Path  # mp4, the reference clip
    num_frames: int
    seed: int
    other_audio: Path | None = None  # the next clip's sound, for controls; None in a set of one clip


@dataclasses.dataclass(frozen=True)
class Extra:
    """What a wrapped method gets for one clip, by the names of its `[inputs]`, or why it cannot be had."""

    inputs: dict[str, Path]
    reason: str | None = None


def stage_inputs(clips: Sequence[Clip], folder: Path) -> list[Item]:
    """Write every clip's image, speech and reference video below `folder`; again when the clip is another one."""
    items = []
    for clip in clips:
        image, audio, video = (folder / f"{clip.clip_id}{suffix}" for suffix in (".png", ".wav", ".mp4"))
        if not (video.exists() and video.read_bytes() == clip.video_bytes()):
            for path in (image, audio):
                path.unlink(missing_ok=True)
            clip.write_video(video)
        if not audio.exists():
            clip.write_audio(audio)
        if not image.exists():
            with atomic_path(image) as temporary:
                cv2.imwrite(str(temporary), cv2.cvtColor(clip.frames()[0], cv2.COLOR_RGB2BGR))
        seed = int.from_bytes(hashlib.sha256(clip.clip_id.encode()).digest()[:4], "big")
        items.append(Item(clip.clip_id, image, audio, video, clip.num_frames, seed))
    if len(items) < 2:
        return items
    others = [*items[1:], items[0]]
    return [dataclasses.replace(item, other_audio=other.audio) for item, other in zip(items, others, strict=True)]


def stage_extras(method: Method, clips: Sequence[Clip], items: Sequence[Item], folder: Path) -> dict[str, Extra]:
    """Derive a wrapped method's inputs of every clip below `folder`; what another method derived alike is shared.

    A clip from which one cannot be derived comes back with the reason. Raises `UserError` for a kind or an option that
    is not known.
    """
    if method.wrapped is None:
        return {}
    tables = method.wrapped.inputs
    wanted = {
        name: get_input(table["kind"], {key: value for key, value in table.items() if key != "kind"})
        for name, table in tables.items()
    }
    keys = {name: _key(table, wanted[name].version) for name, table in tables.items()}
    by_id = {clip.clip_id: clip for clip in clips}
    return {item.clip_id: _extra(by_id[item.clip_id], item, wanted, keys, folder) for item in items}


def _key_of_clip(clip: Clip, item: Item) -> str:
    """Hash of all that is derived from: picture, sound, landmarks, coefficients, language."""
    digest = hashlib.sha256(f"{clip.language} {sha256_file(item.video)} {sha256_file(item.audio)}".encode())
    coefficients = clip.coefficients()
    for array in (clip.landmarks(), coefficients.expression, coefficients.identity):
        digest.update(array.tobytes())
    return digest.hexdigest()[:10]


def _extra(clip: Clip, item: Item, wanted: Mapping[str, Input], keys: Mapping[str, str], folder: Path) -> Extra:
    source = Source(clip)
    of_clip = _key_of_clip(clip, item)
    found: dict[str, Path] = {}
    for name, kind in wanted.items():
        path = folder / keys[name] / f"{item.clip_id}-{of_clip}{kind.suffix}"
        found[name] = path
        if path.exists():
            continue
        try:
            _derive(kind, source, path)
        except Unavailable as error:
            return Extra({}, str(error))
    return Extra(found)


def _derive(kind: Input, source: Source, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".tmp-", dir=path.parent) as temporary:
        made = Path(temporary) / f"made{kind.suffix}"
        kind.derive(source, made)
        shutil.move(made, path)


def _key(table: Mapping[str, Any], version: int) -> str:
    text = json.dumps([table, version], sort_keys=True)
    return f"{table['kind']}-{hashlib.sha256(text.encode()).hexdigest()[:10]}"
