"""Coefficients from one file format, layout or frame rate to another, one clip at a time."""

import contextlib
import dataclasses
import difflib
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import TypeVar

from chdtf.errors import UserError, is_disk_full
from chdtf.morphable.exchange.bfm_coefficients import Gaps
from chdtf.morphable.exchange.clips import AnyClip, BfmClip, FittedClip
from chdtf.morphable.exchange.files import SUFFIXES, check_no_layout, sources, write_clip
from chdtf.morphable.exchange.fitted import to_bfm, write_fitted
from chdtf.morphable.exchange.resample import resample, resample_fit
from chdtf.morphable.exchange.table import write_table

Clip = TypeVar("Clip", BfmClip, FittedClip)


@dataclasses.dataclass(frozen=True)
class Conversion:
    """What becomes of each clip. Rates in Hz; the rest as in `BfmCoefficients`."""

    layout: str | None = None
    fps_from: float | None = None
    fps_to: float | None = None
    gaps: Gaps = "refuse"
    rounded: bool = False
    zero_appearance: bool = False
    frame_size_px: tuple[int, int] | None = None  # (width, height)

    def apply(self, clip: AnyClip, suffix: str) -> AnyClip:
        """The clip resampled and completed, for a file of that suffix; a fit stays one in `.parquet`.

        Raises `UserError` when its rate is needed and not known, or another, and as `to_bfm` does.
        """
        if isinstance(clip, FittedClip):
            if suffix == ".parquet":
                return self._fit(clip)
            clip = to_bfm(clip, self.frame_size_px)
        found, fps = clip.coefficients, self._rate(clip)
        if self.fps_to is not None:
            if fps is None:
                raise UserError(f"clip {clip.clip_id}: its file does not say its frame rate; give --fps-from")
            found, fps = resample(found, fps, self.fps_to), self.fps_to
        if self.frame_size_px is not None:
            found = found.with_frame_size(self.frame_size_px)
        if self.zero_appearance:
            found = found.with_zero_appearance()
        return dataclasses.replace(clip, coefficients=found, fps=fps)

    def _fit(self, clip: FittedClip) -> FittedClip:
        """A fit that stays one, at the wanted rate; how well it fits is known for its own frames only."""
        given = {"--zero-appearance": self.zero_appearance, "--frame-size": self.frame_size_px is not None}
        for option, is_given in given.items():
            if is_given:
                raise UserError(f"{option} is for .mat and .npy; a .parquet of fitted coefficients keeps their columns")
        fps = self._rate(clip) or clip.fps
        if self.fps_to is None or self.fps_to == fps:
            return clip
        smooth = None if clip.smooth is None else resample_fit(clip.smooth, fps, self.fps_to)
        return dataclasses.replace(
            clip,
            coefficients=resample_fit(clip.coefficients, fps, self.fps_to),
            smooth=smooth,
            fps=self.fps_to,
            fit_error_px=None,
        )

    def _rate(self, clip: AnyClip) -> float | None:
        if clip.fps is not None and self.fps_from is not None and clip.fps != self.fps_from:
            raise UserError(
                f"clip {clip.clip_id} has {clip.fps:g} fps by its file, --fps-from says {self.fps_from:g}; leave it out"
            )
        return self.fps_from if clip.fps is None else clip.fps


@dataclasses.dataclass(frozen=True)
class Written:
    """A file that was written, or that was not because of `error`."""

    path: Path
    clip_id: str
    num_frames_from: int = 0
    num_frames: int = 0
    error: str | None = None


def convert(
    source: Path, target: Path, conversion: Conversion, suffix: str | None = None, clip_id: str | None = None
) -> Iterator[Written]:
    """Convert a file, folder or dataset, and say what was written as it is written.

    `target` is a file, its format by its suffix; or with `suffix` a folder, with a file for each clip. Several clips
    go into a folder or into one `.parquet`. With `clip_id` only that clip is converted.

    A clip that cannot be converted into a folder is reported with its `error`, and the others go on; into one file it
    raises. Raises `UserError` for what cannot be read at all, an unknown clip, and a target that is a source.
    """
    if suffix is None and target.suffix not in SUFFIXES:
        raise UserError(
            f"{target}: a file ends in one of {', '.join(SUFFIXES)}; for a folder with a file for each clip say its "
            "format with --format"
        )
    taken = _Taken(source)
    found = _clips(source, conversion, suffix or target.suffix, clip_id)
    if suffix is not None:
        if target.is_dir() and source.is_dir() and target.samefile(source):
            raise UserError(f"{target}: is the source; inputs are not changed, write to another place")
        return _into_folder(found, target, suffix, conversion, taken)
    taken.check(target)
    if target.suffix == ".parquet":
        check_no_layout(conversion.layout)
        return _into_table(found, target)
    return _into_file(found, target, conversion)


@dataclasses.dataclass(frozen=True)
class _Found:
    """A clip that was read and converted, or why not."""

    clip_id: str
    num_frames: int = 0  # before
    clip: AnyClip | None = None
    error: UserError | None = None

    def result(self) -> AnyClip:
        """The converted clip. Raises `UserError` when there is none."""
        if self.clip is None:
            raise self.error or UserError(f"clip {self.clip_id} was not read")
        return self.clip

    def written(self, path: Path) -> Written:
        """That it lies at `path`."""
        return Written(path, self.clip_id, self.num_frames, self.result().coefficients.num_frames)


class _Taken:
    """The files that are read, which nothing may overwrite."""

    def __init__(self, source: Path) -> None:
        files = [file.path for file in sources(source)]
        self._known = {(found.st_dev, found.st_ino) for file in files if file.exists() for found in [file.stat()]}

    def check(self, target: Path) -> None:
        """Raise `UserError` if `target` is one of them."""
        if target.exists() and (target.stat().st_dev, target.stat().st_ino) in self._known:
            raise UserError(f"{target}: is the source; inputs are not changed, write to another place")


def _clips(source: Path, conversion: Conversion, suffix: str, wanted: str | None) -> Iterator[_Found]:
    """The clips of a source, converted; a file that cannot be read is one of them, with its error."""
    seen: list[str] = []
    for file in sources(source):
        if wanted is not None and file.path.suffix in (".mat", ".npy") and file.clip_id != wanted:
            seen.append(file.clip_id)
            continue
        try:
            for clip in file.clips(conversion.rounded):
                seen.append(clip.clip_id)
                if wanted in (None, clip.clip_id):
                    yield _converted(clip, conversion, suffix)
        except UserError as error:
            yield _Found(file.clip_id, error=error)
    if wanted is not None and wanted not in seen:
        near = ", ".join(difflib.get_close_matches(wanted, seen, n=3, cutoff=0.4) or seen[:3])
        raise UserError(f"{source}: has no clip {wanted!r}; there is {near}{' ...' if len(seen) > 3 else ''}")


def _converted(clip: AnyClip, conversion: Conversion, suffix: str) -> _Found:
    try:
        return _Found(clip.clip_id, clip.coefficients.num_frames, conversion.apply(clip, suffix))
    except UserError as error:
        return _Found(clip.clip_id, error=error)


def _into_table(found: Iterator[_Found], target: Path) -> Iterator[Written]:
    written: list[Written] = []

    def clips() -> Iterator[AnyClip]:
        for one in found:
            written.append(one.written(target))
            yield one.result()

    given = clips()
    first = next(given, None)
    if first is None:
        raise UserError(f"{target}: there is no clip to write")
    every = itertools.chain([first], given)
    with _writing(target):
        if isinstance(first, FittedClip):
            write_fitted(target, _only(FittedClip, every, target))
        else:
            write_table(target, _only(BfmClip, every, target))
    yield from written


def _only(kind: type[Clip], clips: Iterable[AnyClip], target: Path) -> Iterator[Clip]:
    """The clips, all of one kind. Raises `UserError` for one that is not."""
    before = ""
    for clip in clips:
        if not isinstance(clip, kind):
            raise UserError(
                f"{target}: a table holds fitted coefficients or those of the field's files, not both: {before} is of "
                f"one kind, {clip.clip_id} ({clip.kind}) of the other; write two tables"
            )
        before = before or f"{clip.clip_id} ({clip.kind})"
        yield clip


def _into_file(found: Iterator[_Found], target: Path, conversion: Conversion) -> Iterator[Written]:
    clips = [one for one, _ in zip(found, range(2), strict=False)]
    if len(clips) > 1:
        raise UserError(
            f"{target}: holds one clip, there are several ({clips[0].clip_id}, {clips[1].clip_id}, ...); choose one "
            "with --clip, or write a .parquet, or a folder with --format"
        )
    if not clips:
        raise UserError(f"{target}: there is no clip to write")
    with _writing(target):
        write_clip(target, clips[0].result(), conversion.layout, conversion.gaps)
    yield clips[0].written(target)


def _into_folder(
    found: Iterator[_Found], folder: Path, suffix: str, conversion: Conversion, taken: _Taken
) -> Iterator[Written]:
    seen: set[Path] = set()
    for one in found:
        path = folder / f"{one.clip_id}{suffix}"
        try:
            clip = one.result()
            _check_name(one.clip_id)
            taken.check(path)
            if path in seen:
                raise UserError(f"{path}: two clips are called {one.clip_id!r}; rename one")
            with _writing(path):
                write_clip(path, clip, conversion.layout, conversion.gaps)
            seen.add(path)
            yield one.written(path)
        except UserError as error:
            yield Written(path, one.clip_id, error=str(error))


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Raise `UserError` for a place where nothing can be written; a full disk stays what it is."""
    try:
        yield
    except OSError as error:
        if is_disk_full(error):
            raise
        raise UserError(f"{path}: cannot be written ({error.strerror}); choose another place") from error


def _check_name(clip_id: str) -> None:
    """Raise `UserError` for an id that leads out of the folder that files are written to."""
    named = PurePosixPath(clip_id)
    if named.is_absolute() or ".." in named.parts or not named.parts or set(clip_id) & {"\\", "\0", "\n"}:
        raise UserError(f"clip {clip_id!r}: its id is no file name; choose it with --clip and name the target file")
