"""What a dataset has of a lock, what it misses, and why: another dataset, another lock, or the same one rebuilt."""

import collections
import csv
import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from chdtf.errors import UserError
from chdtf.files import atomic_path
from pipelines.publication.lock import NAME, Lock, read_lock
from pipelines.publication.lock_row import ACCEPTED, LockRow
from pipelines.publication.published import published_lock

SAME, EXTRA = "same", "extra"
_CLOSE = 1e-6  # seconds, or fractions of the frame, within which intervals and boxes are the same
_OVERLAP = 0.5  # intersection over union above which two intervals are taken for one clip cut differently


@dataclasses.dataclass(frozen=True)
class Difference:
    """One clip of the lock (or one that only the dataset has) and what became of it.

    `status` is a word: `same`, `extra`, `other_media`, `other_box`, `other_interval`, `other_source`, `not_cut`,
    `absent`, or the reason for which it was refused (`gone`, `private`, `hash_mismatch`, `no_face`, ...).
    """

    clip_id: str
    video_id: str
    url: str
    seconds: float
    status: str
    detail: str = ""
    other_clip_id: str = ""


@dataclasses.dataclass(frozen=True)
class Comparison:
    """All differences, and how the two were made differently."""

    clips: tuple[Difference, ...]
    settings: tuple[str, ...]  # one line for each stage or package that differs; no difference in itself

    @property
    def is_same(self) -> bool:
        """Whether every clip of the lock is there, byte for byte, and no other."""
        return all(clip.status == SAME for clip in self.clips)

    def text(self) -> str:
        """Counts and hours by status, the commonest first, with one example of each."""
        groups: dict[str, list[Difference]] = collections.defaultdict(list)
        for clip in self.clips:
            groups[clip.status].append(clip)
        wanted = [clip for clip in self.clips if clip.status != EXTRA]
        lines = [f"{_amount(groups[SAME])} of {_amount(wanted)} are there and the same"]
        for status, clips in sorted(groups.items(), key=lambda item: (-len(item[1]), item[0])):
            if status not in (SAME, EXTRA):
                example = f" (such as {clips[0].clip_id}: {clips[0].detail})" if clips[0].detail else ""
                lines.append(f"  {status}: {_amount(clips)}{example}")
        if groups[EXTRA]:
            lines.append(f"  not in the lock: {_amount(groups[EXTRA])} (such as {groups[EXTRA][0].clip_id})")
        if self.settings:
            lines += ["made differently:", *(f"  {line}" for line in self.settings)]
        return "\n".join(lines)


def _amount(clips: Sequence[Difference]) -> str:
    return f"{len(clips)} clips ({sum(clip.seconds for clip in clips) / 3600:.3f} h)"


def open_lock(path: Path) -> Lock:
    """A lock file, or that of a dataset's folder (made from its tables when it has none).

    Raises `UserError` when there is neither.
    """
    if path.is_dir():
        return read_lock(path / NAME) if (path / NAME).is_file() else published_lock(path)
    if not path.exists():
        raise UserError(f"{path}: no such file or folder; give a lock.csv or a dataset's folder")
    return read_lock(path)


def compare(wanted: Lock, found: Lock) -> Comparison:
    """Say of every accepted clip of `wanted` whether `found` has it, and why not; then what only `found` has."""
    finder = _Finder(found.rows)
    clips: list[Difference] = []
    matched: set[str] = set()
    for row in wanted.accepted():
        other = finder.match(row)
        if other is not None and other.outcome == ACCEPTED:
            matched.add(other.clip_id)
        status, detail = _judged(row, other) if other is not None else finder.why_missing(row)
        clips.append(
            Difference(row.clip_id, row.video_id, row.url, row.seconds, status, detail, other.clip_id if other else "")
        )
    extra = [row for row in found.accepted() if row.clip_id not in matched]
    clips += [Difference(row.clip_id, row.video_id, row.url, row.seconds, EXTRA) for row in extra]
    return Comparison(tuple(clips), tuple(_settings(wanted.settings, found.settings)))


def write_differences(path: Path, clips: Iterable[Difference]) -> None:
    """Write the differences as CSV, a row a clip."""
    names = [field.name for field in dataclasses.fields(Difference)]
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(names)
        writer.writerows([getattr(clip, name) for name in names] for clip in clips)


class _Finder:
    """Finds the row of a lock that stands for a clip of another lock."""

    def __init__(self, rows: Sequence[LockRow]) -> None:
        self._by_clip = {row.clip_id: row for row in rows}
        self._by_video: dict[str, list[LockRow]] = collections.defaultdict(list)
        self._by_source: dict[str, list[LockRow]] = collections.defaultdict(list)
        for row in rows:
            self._by_video[row.video_id].append(row)
            for key in _sources(row):
                self._by_source[key].append(row)

    def match(self, row: LockRow) -> LockRow | None:
        """By the clip's id; as a video of that id, when made from the lock; else by source and interval."""
        same = self._by_clip.get(row.clip_id)
        if same is not None and (_share_source(row, same) or same.outcome != ACCEPTED):
            return same
        near = self._by_video.get(row.clip_id) or self._of_source(row)
        best = max(near, key=lambda other: _overlap(row, other), default=None)
        if best is not None and (best.video_id == row.clip_id or _overlap(row, best) >= _OVERLAP):
            return best
        return same

    def why_missing(self, row: LockRow) -> tuple[str, str]:
        """Status and detail of a clip that has no row of its own."""
        others = self._of_source(row) or self._by_video.get(row.video_id, [])
        for other in others:
            if other.outcome != ACCEPTED and other.start_s is None:
                return _word(other.reason)
        if others:
            return "not_cut", f"{len(others)} other clips of this source, none from {row.start_s} to {row.end_s} s"
        return "absent", "no row of this source"

    def _of_source(self, row: LockRow) -> list[LockRow]:
        found = {other.clip_id: other for key in _sources(row) for other in self._by_source.get(key, ())}
        return list(found.values())


def _sources(row: LockRow) -> list[str]:
    return [key for key in (row.site_id, row.source_sha256, row.url) if key]


def _share_source(one: LockRow, other: LockRow) -> bool:
    return not set(_sources(one)).isdisjoint(_sources(other))


def _overlap(one: LockRow, other: LockRow) -> float:
    if one.start_s is None or one.end_s is None or other.start_s is None or other.end_s is None:
        return 0.0
    common = min(one.end_s, other.end_s) - max(one.start_s, other.start_s)
    whole = max(one.end_s, other.end_s) - min(one.start_s, other.start_s)
    return max(0.0, common) / whole if whole > 0 else 0.0


def _word(reason: str) -> tuple[str, str]:
    word, _, detail = reason.partition(":")
    return word.strip() or "refused", detail.strip()


def _judged(row: LockRow, other: LockRow) -> tuple[str, str]:
    """Status and detail of a clip and the row that stands for it."""
    return _word(other.reason) if other.outcome != ACCEPTED else next(_faults(row, other), (SAME, ""))


def _faults(row: LockRow, other: LockRow) -> Iterator[tuple[str, str]]:
    """How two accepted clips differ, the cause before its consequences."""
    if row.source_sha256 and other.source_sha256 and row.source_sha256 != other.source_sha256:
        yield "other_source", f"sha256 {other.source_sha256[:12]}, the lock has {row.source_sha256[:12]}"
    if not _share_source(row, other):
        yield "other_source", f"{other.url}, the lock has {row.url}"
    if not _near((row.start_s, row.end_s), (other.start_s, other.end_s)):
        yield "other_interval", f"{other.start_s} to {other.end_s} s, the lock has {row.start_s} to {row.end_s} s"
    if not _near(row.crop or (), other.crop or ()):
        yield "other_box", f"{_box(other)}, the lock has {_box(row)}"
    for what, name in (("picture", "video_sha256"), ("sound", "audio_sha256")):
        mine, theirs = getattr(row, name), getattr(other, name)
        if mine and theirs and mine != theirs:
            yield "other_media", f"{what} of the same interval and box has other bytes: other versions or settings"


def _near(one: Sequence[float | None], other: Sequence[float | None]) -> bool:
    return len(one) == len(other) and all(
        a == b or (a is not None and b is not None and abs(a - b) <= _CLOSE) for a, b in zip(one, other, strict=True)
    )


def _box(row: LockRow) -> str:
    return " ".join(f"{edge:.4f}" for edge in row.crop) if row.crop else "none"


def _shown(value: Any) -> Any:
    return "none" if value in ("", None) else value


def _settings(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> Iterable[str]:
    """How two companions differ: packages and stages, where both say."""
    if not (wanted and found):
        return
    for name, version in sorted((wanted.get("packages") or {}).items()):
        other = (found.get("packages") or {}).get(name)
        if other != version:
            yield f"{name} {other or 'absent'}, the lock has {version}"
    stages = {stage["name"]: stage for stage in found.get("stages") or ()}
    for stage in wanted.get("stages") or ():
        other = stages.get(stage["name"])
        if other is None:
            yield f"stage {stage['name']}: absent"
        elif other.get("version") != stage.get("version"):
            yield f"stage {stage['name']}: version {other.get('version')}, the lock has {stage.get('version')}"
        else:
            mine, theirs = stage.get("fields") or {}, other.get("fields") or {}
            changed = [name for name in mine if theirs.get(name) != mine[name]]
            yield from (
                f"stage {stage['name']}: {n} {_shown(theirs.get(n))}, the lock has {_shown(mine[n])}" for n in changed
            )
