"""Say what coefficient files hold: layout, frames, seconds, ranges, and which methods read them."""

import collections
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from benchmark.cli._console import say

if TYPE_CHECKING:
    from chdtf.morphable.exchange.clips import BfmClip
    from chdtf.morphable.exchange.describe import Ranges


@dataclasses.dataclass(frozen=True)
class Command:
    """Say what coefficient files hold: kind, layout, frames, seconds, valid frames, ranges of all parts, and which of
    the field's methods read them as they are. A file that is refused is named with what was expected; exit status 2.
    """

    files: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="FILE [FILE ...]")]
    """Files (.mat, .npy, .parquet), folders of them, or datasets that were built with face_model=bfm."""
    round: bool = False
    """Read float64 that float32 does not hold exactly."""

    def run(self) -> int:
        """Print a line for each clip, then what they have in common."""
        from chdtf.errors import UserError
        from chdtf.morphable.exchange.describe import Ranges
        from chdtf.morphable.exchange.files import sources

        if not self.files:
            raise UserError("no file given; name files, folders or datasets")
        lines, ranges, summary = [], Ranges(), _Summary()
        refused = []
        for file in [file for path in self.files for file in sources(path)]:
            try:
                for clip in file.clips(self.round):
                    lines.append(_line(clip))
                    ranges.add(clip)
                    summary.add(clip)
            except UserError as error:
                refused.append(str(error))
        if lines:
            _table(("clip", "kind", "frames", "seconds", "valid", "rate"), lines)
            say()
            _say_ranges(ranges)
            say()
            summary.say()
        for message in refused:
            sys.stderr.write(f"disentbench: {' '.join(message.split())}\n")
        return 2 if refused else 0


def _line(clip: "BfmClip") -> tuple[str, ...]:
    frames, valid = clip.coefficients.num_frames, clip.coefficients.valid
    fps = clip.fps or 25.0
    share = f"{valid.mean():.0%}" if valid.all() else f"{min(valid.mean(), 0.999):.1%}"
    rate = f"{fps:g} fps" if clip.fps else "at 25 fps"
    return clip.clip_id, clip.kind, f"{frames:,}", f"{frames / fps:.2f}", share, rate


def _say_ranges(ranges: "Ranges") -> None:
    rows = [
        (found.name, f"{found.size}", f"{found.smallest:.3f}", f"{found.mean:.3f}", f"{found.largest:.3f}", found.unit)
        for found in ranges.rows()
    ]
    _table(("part", "columns", "min", "mean", "max", "unit"), rows)


class _Summary:
    """What clips have in common, counted as they pass."""

    def __init__(self) -> None:
        self._clips = self._frames = self._valid = 0
        self._readers: collections.Counter[str] = collections.Counter()
        self._layouts: collections.Counter[str] = collections.Counter()
        self._models: collections.Counter[str] = collections.Counter()

    def add(self, clip: "BfmClip") -> None:
        from chdtf.morphable.exchange.describe import layouts_of, readers

        self._clips += 1
        self._frames += clip.coefficients.num_frames
        self._valid += int(clip.coefficients.valid.sum())
        self._readers.update(readers(clip) or ("no method as it is; convert it",))
        self._layouts.update(layouts_of(clip))
        fitter = f", fitted by {clip.fitter} {clip.fitter_version}" if clip.fitter else ""
        known = clip.face_model_hash[:12] if clip.face_model_hash else "with no hash in the file"
        self._models[f"{clip.face_model} {known}{fitter}"] += 1

    def say(self) -> None:
        """Print it."""
        frames, gaps = self._frames, self._frames - self._valid
        clips = "1 clip" if self._clips == 1 else f"{self._clips:,} clips"
        say(f"{clips}, {frames:,} frames{f', {gaps:,} of them not valid' if gaps else ', all valid'}")
        seconds = f"{frames / 25:,.2f} at 25 fps (DreamTalk, SadTalker), {frames / 30:,.2f} at 30 fps (StyleTalk)"
        say(f"{'seconds':<12}{seconds}")
        for title, counts in (("face model", self._models), ("layouts", self._layouts), ("read by", self._readers)):
            self._say_counts(title, counts)

    def _say_counts(self, title: str, counts: collections.Counter[str]) -> None:
        """The names, those of all clips first and then, with their number, those of some."""
        everywhere = [name for name, count in counts.items() if count == self._clips]
        parts = [", ".join(everywhere)] if everywhere else []
        parts += [
            f"{name} ({count:,} of {self._clips:,} clips)" for name, count in counts.items() if count < self._clips
        ]
        for number, part in enumerate(parts):
            say(f"{'' if number else title:<12}{part}")


_FIGURES = ("frames", "seconds", "valid", "columns", "min", "mean", "max")


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """Columns side by side, figures to the right."""
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    for row in [head, *rows]:
        cells = [
            cell.rjust(width) if name in _FIGURES else cell.ljust(width)
            for name, cell, width in zip(head, row, widths, strict=True)
        ]
        say("  ".join(cells).rstrip())
