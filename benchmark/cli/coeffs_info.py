"""Say what coefficient files hold: layout, frames, seconds, ranges, and which methods read them."""

import collections
import dataclasses
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from benchmark.cli._console import say

if TYPE_CHECKING:
    from chdtf.morphable.exchange.clips import AnyClip
    from chdtf.morphable.exchange.describe import Ranges


@dataclasses.dataclass(frozen=True)
class Command:
    """Say what coefficient files hold: kind, frames, seconds, valid frames, ranges of all parts, face model, and which
    of the field's methods read them as they are. A file that is refused is named with what was expected; exit status 2.
    """

    files: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="FILE [FILE ...]")]
    """Files of the field (.mat, .npy, .parquet), fitted coefficients of any face model (.parquet of coeffs fit),
    datasets, or folders of all those."""
    round: bool = False
    """Read float64 that float32 does not hold exactly."""

    def run(self) -> int:
        """Print a line for each clip, then what they have in common."""
        from chdtf.errors import UserError
        from chdtf.morphable.exchange.describe import Ranges
        from chdtf.morphable.exchange.files import sources

        if not self.files:
            raise UserError("no file given; name files, folders or datasets")
        lines, summary, refused = [], _Summary(), []
        ranges: dict[str, Ranges] = {}  # by what the numbers mean
        for file in [file for path in self.files for file in sources(path)]:
            try:
                for clip in file.clips(self.round):
                    lines.append(_line(clip))
                    ranges.setdefault(_meaning(clip), Ranges()).add(clip)
                    summary.add(clip, _frames_beside(file.path))
            except UserError as error:
                refused.append(str(error))
        if lines:
            _table(("clip", "kind", "frames", "seconds", "valid", "rate"), lines)
        for meaning, found in ranges.items():
            say()
            if len(ranges) > 1:
                say(f"{meaning}:")
            _say_ranges(found)
        if lines:
            say()
            summary.say()
        for message in refused:
            sys.stderr.write(f"disentbench: {' '.join(message.split())}\n")
        return 2 if refused else 0


def _meaning(clip: "AnyClip") -> str:
    """What numbers can be compared with the clip's."""
    from chdtf.morphable.exchange.clips import FittedClip

    if isinstance(clip, FittedClip):
        return f"fits of {clip.face_model} {clip.face_model_hash[:12]}"
    return "files of the field (bfm)"


def _line(clip: "AnyClip") -> tuple[str, ...]:
    frames, valid = clip.coefficients.num_frames, clip.coefficients.valid
    fps = clip.fps or 25.0
    share = f"{valid.mean():.0%}" if valid.all() else f"{min(valid.mean(), 0.999):.1%}"
    rate = f"{fps:g} fps" if clip.fps else "if 25 fps"
    return clip.clip_id, clip.kind, f"{frames:,}", f"{frames / fps:.2f}", share, rate


def _frames_beside(path: Path) -> int | None:
    """Frames of the video of the same name beside a file of one clip, None where there is none that can be read."""
    from chdtf.media import UnreadableError
    from chdtf.morphable.drawing.video import count_frames

    video = path.with_suffix(".mp4")
    if path.suffix == ".parquet" or not video.is_file():
        return None
    try:
        return count_frames(video)
    except UnreadableError:
        return None


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
        self._seconds = 0.0  # NaN: the rate of some is not known
        self._videos: collections.Counter[str] = collections.Counter()
        self._readers: collections.Counter[str] = collections.Counter()
        self._layouts: collections.Counter[str] = collections.Counter()
        self._models: collections.Counter[str] = collections.Counter()

    def add(self, clip: "AnyClip", beside: int | None) -> None:
        """Count a clip; `beside` are the frames of the video beside it."""
        from chdtf.morphable.exchange.describe import layouts_of, readers

        self._clips += 1
        self._frames += clip.coefficients.num_frames
        self._valid += int(clip.coefficients.valid.sum())
        self._seconds += clip.coefficients.num_frames / clip.fps if clip.fps else float("nan")
        if beside is not None:
            self._videos[_compared(beside - clip.coefficients.num_frames)] += 1
        self._readers.update(readers(clip) or (_no_reader(clip),))
        self._layouts.update(layouts_of(clip))
        fitter = f" fitted by {clip.fitter} {clip.fitter_version}" if clip.fitter else ""
        known = clip.face_model_hash[:12] if clip.face_model_hash else "with no hash in the file"
        self._models[f"{clip.face_model} {known}{fitter}"] += 1

    def say(self) -> None:
        """Print it."""
        frames, gaps = self._frames, self._frames - self._valid
        clips = "1 clip" if self._clips == 1 else f"{self._clips:,} clips"
        say(f"{clips}, {frames:,} frames{f', {gaps:,} of them not valid' if gaps else ', all valid'}")
        seconds = f"{frames / 25:,.2f} at 25 fps (DreamTalk, SadTalker), {frames / 30:,.2f} at 30 fps (StyleTalk)"
        say(f"{'seconds':<12}{seconds if math.isnan(self._seconds) else f'{self._seconds:,.2f}'}")
        for title, counts in (
            ("videos", self._videos),
            ("face model", self._models),
            ("layouts", self._layouts),
            ("read by", self._readers),
        ):
            if counts:
                self._say_counts(title, counts)

    def _say_counts(self, title: str, counts: collections.Counter[str]) -> None:
        """The names, those of all clips first and then, with their number, those of some."""
        by_count: dict[int, list[str]] = {}
        for name, count in counts.items():
            by_count.setdefault(count, []).append(name)
        for number, count in enumerate(sorted(by_count, reverse=True)):
            names = by_count[count]
            each = " each" if len(names) > 1 else ""
            some = "" if count == self._clips else f" ({count:,} of {self._clips:,} clips{each})"
            say(f"{'' if number else title:<12}{', '.join(names)}{some}")


def _compared(more: int) -> str:
    """What the video beside a file tells of where its coefficients belong."""
    if not more:
        return "as many frames as the file beside them"
    frames = f"{abs(more)} frame{'s' if abs(more) > 1 else ''} {'more' if more > 0 else 'fewer'}"
    return f"{frames} than the file beside them, coeffs overlay --coefficients aligns the two"


def _no_reader(clip: "AnyClip") -> str:
    from chdtf.morphable.exchange.clips import FACE_MODEL

    if clip.face_model == FACE_MODEL:
        return "no method as it is; disentbench coeffs convert writes .mat and .npy"
    return "no method: the field's files hold the face model bfm; to have them, fit with it (coeffs fit --model bfm)"


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
