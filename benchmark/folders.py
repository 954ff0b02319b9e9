"""Folders of videos, paired by file name: what `disentbench score` scores, and what it finds beside it.

A clip's name is its file's without the suffix; the container does not matter. Hidden files are not looked at.
"""

import csv
import dataclasses
import difflib
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from benchmark.clip_score import ScoreItem
from chdtf.errors import UserError

VIDEO = frozenset(
    (
        *(".3gp", ".asf", ".avi", ".f4v", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts"),
        *(".mxf", ".nut", ".ogv", ".ts", ".webm", ".wmv", ".y4m"),
    )
)
AUDIO = VIDEO | {".aac", ".ac3", ".aiff", ".flac", ".m4a", ".mka", ".mp3", ".oga", ".ogg", ".opus", ".wav", ".wma"}
UNKNOWN_LANGUAGE = "und"
SPLIT = "all"
_SHOWN = 3


@dataclasses.dataclass(frozen=True)
class Speaker:
    """Who speaks in a clip, and in which language (BCP 47, `und` when unknown)."""

    speaker_id: str
    language: str = UNKNOWN_LANGUAGE


@dataclasses.dataclass(frozen=True)
class Pairing:
    """Clips to score, and what does not pair. Every clip that is expected is in `items`, made or not.

    `truth` holds the same clips with the reference in place of the generated video; empty without references.
    """

    items: tuple[ScoreItem, ...]
    truth: tuple[ScoreItem, ...]
    missing: tuple[str, ...]  # clips of the reference folder without a generated video
    extra: tuple[str, ...]  # generated videos without a reference: not scored
    ignored: tuple[str, ...]  # files and folders that are no video

    def account(self) -> list[str]:
        """Lines that say what was found."""
        made = len(self.items) - len(self.missing)
        lines = [f"{len(self.items)} clips expected, {made} generated" if self.truth else f"{made} clips"]
        for what, names in (
            ("missing (null in every column)", self.missing),
            ("extra, without a reference and not scored", self.extra),
            ("not videos, left alone", self.ignored),
        ):
            if names:
                lines.append(f"{what}: {len(names)} ({_few(names)})")
        return lines


def pair(
    generated: Path,
    reference: Path | None = None,
    audio: Path | None = None,
    speakers: Mapping[str, Speaker] | None = None,
    own_sound: bool = False,
    speaker_from_name: bool = False,
) -> Pairing:
    """Pair generated videos with references and sounds by name, in alphabetical order.

    A clip's sound is that of `audio`, else the reference's, else (without either, or with `own_sound`) the generated
    video's. Without `speakers` every clip is a speaker of its own, or with `speaker_from_name` that of its name up to
    the first underscore. Raises `UserError` for a folder that is not there or holds no video, two files of one name,
    no name in common, and a clip that `speakers` lacks.
    """
    made, ignored = _by_name(generated, VIDEO, "video")
    truth, _ = _by_name(reference, VIDEO, "video") if reference else ({}, ())
    sounds, _ = _by_name(audio, AUDIO, "sound") if audio else ({}, ())
    names = sorted(truth if reference else made)
    if reference and not set(made) & set(truth):
        raise UserError(_nothing_in_common(generated, made, reference, truth))
    who = _speakers(names, speakers, speaker_from_name)

    def item(name: str, path: Path) -> ScoreItem:
        sound = sounds.get(name, audio / f"{name}.wav") if audio else truth.get(name)
        return ScoreItem(
            clip_id=name,
            speaker_id=who[name].speaker_id,
            language=who[name].language,
            split=SPLIT,
            generated=path,
            reference=truth.get(name),
            audio=None if own_sound else sound,
        )

    return Pairing(
        items=tuple(item(name, made.get(name, generated / f"{name}.mp4")) for name in names),
        truth=tuple(item(name, truth[name]) for name in sorted(truth)),
        missing=tuple(name for name in names if name not in made),
        extra=tuple(sorted(set(made) - set(names))),
        ignored=ignored,
    )


def read_speakers(path: Path) -> dict[str, Speaker]:
    """Speakers by clip from a CSV file with the columns clip, speaker and, where known, language.

    Raises `UserError` for a file that cannot be read, lacks a column or names a clip twice.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: not a readable CSV file ({error})") from error
    found: dict[str, Speaker] = {}
    for number, row in enumerate(rows, 2):
        clip, speaker = (_name(row.get(column) or "") for column in ("clip", "speaker"))
        if not clip or not speaker:
            raise UserError(f"{path}, line {number}: no clip or no speaker; the columns are clip,speaker,language")
        if clip in found:
            raise UserError(f"{path}, line {number}: clip {clip!r} is there twice; name each clip once")
        found[clip] = Speaker(speaker, (row.get("language") or "").strip() or UNKNOWN_LANGUAGE)
    return found


def _speakers(
    names: Sequence[str], speakers: Mapping[str, Speaker] | None, speaker_from_name: bool
) -> Mapping[str, Speaker]:
    if speakers is None:
        return {name: Speaker(name.split("_")[0] if speaker_from_name else name) for name in names}
    if lacking := [name for name in names if name not in speakers]:
        raise UserError(f"the list of speakers lacks {len(lacking)} of {len(names)} clips ({_few(lacking)}); add them")
    return speakers


def _by_name(folder: Path, suffixes: frozenset[str], what: str) -> tuple[dict[str, Path], tuple[str, ...]]:
    """Files of some kind by clip name, and the names of all others."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder")
    found: dict[str, Path] = {}
    others = []
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.suffix.lower() not in suffixes:
            others.append(path.name)
            continue
        name = _name(path.stem)
        if name in found:
            raise UserError(f"{folder}: two files for clip {name!r}, {found[name].name} and {path.name}; keep one")
        found[name] = path
    if not found:
        raise UserError(f"{folder}: holds no {what} ({len(others)} other files); files in folders below are not found")
    return found, tuple(others)


def _name(text: str) -> str:
    """One spelling for names that look alike: macOS writes accents apart from their letters."""
    return unicodedata.normalize("NFC", text.strip())


def _nothing_in_common(generated: Path, made: Iterable[str], reference: Path, truth: Iterable[str]) -> str:
    ours, theirs = sorted(made), sorted(truth)
    pairs = [(name, near[0]) for name in ours if (near := difflib.get_close_matches(name, theirs, n=1, cutoff=0.3))]
    here, there = pairs[0] if pairs else (ours[0], theirs[0])
    return (
        f"no video of {generated} is named as one of {reference} ({here!r} against {there!r}); name each generated "
        "video as its reference (the suffix does not matter)"
    )


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
