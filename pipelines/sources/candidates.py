"""Candidates: videos that a recipe's searches found, and the two files that hold them."""

import csv
import dataclasses
from pathlib import Path
from typing import Any

from chdtf.errors import UserError
from chdtf.files import atomic_path
from chdtf.manifest import ManifestRow, write_manifest
from pipelines.sources.recipe_file import Recipe

_FORMULA = ("=", "+", "-", "@", "\t")  # a spreadsheet would compute a cell that begins so
_LONGEST_LICENSE = 200


@dataclasses.dataclass(frozen=True)
class Candidate:
    """One video that was found; `title`, `uploader` and `site_license` are other people's text, cleaned to one line."""

    video_id: str
    site_id: str
    url: str
    speaker_id: str
    title: str
    uploader: str
    duration_s: float | None
    site_license: str
    query: str
    rank: int  # 1: the first result
    found_by: int = 1  # lists that hold it
    also_speakers: str = ""  # other speakers whose lists hold it

    def manifest_row(self, language: str, license_: str) -> ManifestRow:
        """The row that the build takes."""
        stated = self.site_license[:_LONGEST_LICENSE].strip() or license_
        return ManifestRow(self.video_id, self.url, speaker_id=self.speaker_id, language=language, license=stated)


@dataclasses.dataclass(frozen=True)
class Discovery:
    """What came of a recipe."""

    recipe: Recipe
    candidates: tuple[Candidate, ...]
    left_out: dict[str, int]  # results that are no candidates, by reason
    problems: tuple[str, ...]  # lists that could not be read, and why
    lists_read: int

    def hours(self, speaker_id: str | None = None) -> float:
        """Hours of candidates as far as their length is known, of one speaker or of all."""
        chosen = [c for c in self.candidates if speaker_id in (None, c.speaker_id)]
        return sum(candidate.duration_s or 0.0 for candidate in chosen) / 3600

    def text(self) -> str:
        """The account for a person."""
        share = self.recipe.hours_to_find / len(self.recipe.speakers)
        lines = [
            f"{len(self.candidates)} candidates, {self.hours():.1f} h of {self.recipe.hours_to_find:.1f} h to find,"
            f" from {self.lists_read} lists"
        ]
        for speaker in self.recipe.speakers:
            own = [candidate for candidate in self.candidates if candidate.speaker_id == speaker.id]
            unknown = sum(candidate.duration_s is None for candidate in own)
            more = f", {unknown} of unknown length" if unknown else ""
            lines.append(f"  {speaker.id}: {len(own)} videos, {self.hours(speaker.id):.1f} h of {share:.1f} h{more}")
        lines += [f"  left out: {reason} ({number})" for reason, number in sorted(self.left_out.items())]
        lines += [f"  not read: {problem}" for problem in self.problems]
        return "\n".join(lines)


def write_candidates(found: Discovery, path: Path) -> Path:
    """Write the candidates as a manifest, and what their sites say of them beside it (`<name>.details.csv`).

    Returns the path of the second. Raises `UserError` when there are no candidates.
    """
    if not found.candidates:
        raise UserError("no candidates were found; nothing is written")
    speakers = {speaker.id: speaker for speaker in found.recipe.speakers}
    rows = []
    for candidate in found.candidates:
        speaker = speakers[candidate.speaker_id]
        language, license_ = speaker.language or found.recipe.language, speaker.license or found.recipe.license
        rows.append(candidate.manifest_row(language, license_))
    write_manifest(rows, path)
    details = path.with_name(f"{path.stem}.details.csv")
    names = [field.name for field in dataclasses.fields(Candidate)]
    with atomic_path(details) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(names)
        writer.writerows([_safe(getattr(candidate, name)) for name in names] for candidate in found.candidates)
    return details


def _safe(value: Any) -> Any:
    """Text that no spreadsheet takes for a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
