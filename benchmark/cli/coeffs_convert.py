"""Convert coefficient files: .mat, .npy and Parquet, the field's layouts, 25 and 30 fps."""

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

import tyro

from benchmark.cli._console import say


@dataclasses.dataclass(frozen=True)
class Command:
    """Convert coefficients between the files that the field's methods read and tables, value for value.

    SOURCE is a .mat of PIRenderer, StyleTalk and DreamTalk (coeff, transform_params) or of SadTalker (coeff_3dmm), a
    .npy of 64, 70, 73, 257, 260 or 262 columns, a .parquet of this verb or of coeffs fit, a dataset, or a folder of
    all those. TARGET is a file, its format by its suffix, or with --format a folder with a file for each clip. Fitted
    coefficients of any face model become .parquet, only those of bfm .mat and .npy.
    """

    source: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="SOURCE")]
    """File, folder or dataset to read."""
    target: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="TARGET")]
    """File or folder to write."""
    layout: Annotated[
        Literal["257", "73", "70", "260", "262", "64"] | None, tyro.conf.arg(metavar="257|73|70|260|262|64")
    ] = None
    """Columns of a frame. In .mat 257 (the default) is PIRenderer's, StyleTalk's and DreamTalk's, 73 and 70 are
    SadTalker's; in .npy 73 is the default. Parquet holds all parts."""
    format: Annotated[Literal["mat", "npy", "parquet"] | None, tyro.conf.arg(metavar="mat|npy|parquet")] = None
    """Write a folder: one file of this format for each clip."""
    clip: Annotated[str | None, tyro.conf.arg(metavar="ID")] = None
    """Only this clip."""
    fps_from: Annotated[float | None, tyro.conf.arg(metavar="HZ")] = None
    """Frame rate of the source, where the file does not say it (only Parquet and datasets do)."""
    fps_to: Annotated[float | None, tyro.conf.arg(metavar="HZ")] = None
    """Frame rate of the target: DreamTalk and SadTalker take 25, StyleTalk 30. Angles are treated as rotations."""
    gaps: Literal["refuse", "nan", "hold"] = "refuse"
    """Frames without a face, for which .mat and .npy have no mask: refuse, write NaN, or repeat the frame before."""
    round: bool = False
    """Round float64 to float32 where that loses digits; refused otherwise."""
    zero_appearance: bool = False
    """Fill in zeros for identity, texture and gamma where the source lacks them. Fits have no texture and gamma, and
    renderers of motion read only expression, angle, translation and crop."""
    frame_size: Annotated[str | None, tyro.conf.arg(metavar="PX|WIDTHxHEIGHT")] = None
    """Size of the frames in px, to complete transform_params from s, t0, t1 (256 for PIRenderer), and of fits to
    videos whose frames are not 256 px."""

    def run(self) -> int:
        """Convert, and print a line for each clip."""
        from chdtf.morphable.exchange.convert import Conversion, convert

        conversion = Conversion(
            layout=self.layout,
            fps_from=self.fps_from,
            fps_to=self.fps_to,
            gaps=self.gaps,
            rounded=self.round,
            zero_appearance=self.zero_appearance,
            frame_size_px=self._frame_size_px(),
        )
        suffix = None if self.format is None else f".{self.format}"
        written = 0
        reasons: list[str] = []
        for one in convert(self.source, self.target, conversion, suffix, self.clip):
            if one.error is not None:
                why = one.error.removeprefix(f"clip {one.clip_id}").lstrip(": ")
                say(f"refused {one.clip_id}: {'as the one before' if reasons[-1:] == [why] else why}")
                reasons.append(why)
                continue
            written += 1
            frames = f"{one.num_frames:,}" if self.fps_to is None else f"{one.num_frames_from:,} -> {one.num_frames:,}"
            say(f"{one.path}: {one.clip_id}, {frames} frames")
        refused = len(reasons)
        if written + refused > 1:
            say(f"{written:,} clips converted" + (f", {refused:,} refused" if refused else ""))
        return (1 if written else 2) if refused else 0

    def _frame_size_px(self) -> tuple[int, int] | None:
        """(width, height). Raises `UserError` for anything but one or two whole numbers above 0."""
        from chdtf.errors import UserError

        if self.frame_size is None:
            return None
        sides = self.frame_size.lower().split("x")
        if len(sides) > 2 or not all(side.isdecimal() and int(side) > 0 for side in sides):
            raise UserError(f"--frame-size {self.frame_size}: must be a number of px, or WIDTHxHEIGHT as 1280x720")
        return int(sides[0]), int(sides[-1])
