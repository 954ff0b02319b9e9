"""A clip's coefficients over time: expression by subspace, openings, head rotation, and where there was no face."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from chdtf.morphable.drawing.figure import new_figure, save_figure
from chdtf.morphable.drawing.view import BLACK, BLUE, GREEN, ORANGE, PURPLE, SKY_BLUE, VERMILLION

_COLOURS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY_BLUE, BLACK)
_STYLES = ("-", (0, (5, 1.5)), "-", (0, (5, 1.5)), "-", (0, (5, 1.5)), "-")
_GAP_COLOUR = "#BDBDBD"
_WIDTH_PX, _PANEL_PX, _EXTRA_PX = 1100, 140, 124
_AXES = ("pitch", "yaw", "roll")
_ROTATION = "head rotation (positive: bows; nose to the left of the picture; tilts clockwise)"


@dataclasses.dataclass(frozen=True, eq=False)
class Curves:
    """What there is to draw of a clip of T frames; what is not known is None and has no panel."""

    title: str
    fps: float
    valid: np.ndarray  # (T,) bool
    expression: np.ndarray  # (T, K)
    expression_unit: str = "standard\ndeviations"
    names: Sequence[str] = ()  # K names of the dimensions, or none
    motion: np.ndarray | None = None  # (K,) how far one unit of each dimension moves the face; None: all alike
    rotation_deg: np.ndarray | None = None  # (T, 3) pitch, yaw, roll
    mouth_opening: np.ndarray | None = None  # (T,) inner-lip gap / outer eye corner distance
    eye_opening: np.ndarray | None = None  # (T,) eye aspect ratio
    time_label: str = "time, s"

    def __post_init__(self) -> None:
        frames = len(self.valid)
        for name in ("expression", "rotation_deg", "mouth_opening", "eye_opening"):
            given = getattr(self, name)
            if given is not None and len(given) != frames:
                raise ValueError(f"{self.title}: {name} has {len(given)} frames, valid has {frames}")
        if not frames:
            raise ValueError(f"{self.title}: no frames to draw")


def strongest(curves: Curves, among: Sequence[int], count: int) -> list[int]:
    """The dimensions among the given ones that move the face most over the valid frames, strongest first."""
    if not curves.valid.any():
        return list(among)[:count]
    strength = curves.expression[curves.valid].astype(np.float64).std(axis=0)
    if curves.motion is not None:
        strength *= curves.motion
    return sorted(among, key=lambda dimension: -strength[dimension])[:count]


def gaps(valid: np.ndarray) -> list[tuple[int, int]]:
    """Runs of frames that are not valid (T,), as (first, one after the last)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[True], valid, [True]]).astype(np.int8)))
    return [(int(first), int(end)) for first, end in zip(edges[::2], edges[1::2], strict=True)]


def draw_curves(
    curves: Curves, out: Path, groups: Mapping[str, Sequence[int]] | None = None, count: int = 4
) -> tuple[int, int]:
    """Draw a clip's curves, one panel for each kind, over time in seconds.

    Args:
        curves: what to draw.
        out: .png or .svg.
        groups: dimensions by subspace, one panel each; None: the strongest of all in one panel.
        count: dimensions in each panel.

    Returns:
        (width, height) of the picture, px.

    """
    panels = _panels(curves, groups or {"expression": range(curves.expression.shape[1])}, count)
    height = _EXTRA_PX + _PANEL_PX * len(panels)
    figure = new_figure(_WIDTH_PX, height)
    axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    figure.subplots_adjust(
        left=80 / _WIDTH_PX, right=1 - 200 / _WIDTH_PX, top=1 - 62 / height, bottom=56 / height, hspace=0.24
    )
    figure.suptitle(curves.title, x=80 / _WIDTH_PX, y=1 - 22 / height, ha="left", va="center", size=11, weight="bold")
    time_s = np.arange(len(curves.valid)) / curves.fps
    for axis, panel in zip(axes, panels, strict=True):
        _draw_panel(axis, panel, time_s, curves)
    axes[-1].set_xlabel(curves.time_label, size=9)
    axes[-1].set_xlim(0, len(curves.valid) / curves.fps)
    if not curves.valid.all():
        _tell_gaps(figure, height)
    save_figure(figure, out)
    return _WIDTH_PX, height


@dataclasses.dataclass(frozen=True, eq=False)
class _Panel:
    title: str
    unit: str
    lines: tuple[tuple[str, np.ndarray], ...]  # label, (T,)
    from_zero: bool = False


def _panels(curves: Curves, groups: Mapping[str, Sequence[int]], count: int) -> list[_Panel]:
    panels = []
    for name, members in groups.items():
        chosen = strongest(curves, members, count)
        lines = tuple((_label(curves, dimension), curves.expression[:, dimension]) for dimension in chosen)
        shown = f"{len(chosen)} of {len(members)}" if len(chosen) < len(members) else f"{len(members)}"
        title = f"{name}: {shown} dimensions" + (", the strongest" if len(chosen) < len(members) else "")
        panels.append(_Panel(title, curves.expression_unit, lines))
    if curves.mouth_opening is not None:
        lines = (("inner-lip gap", curves.mouth_opening),)
        panels.append(_Panel("mouth opening", "of eye corner\ndistance", lines, from_zero=True))
    if curves.eye_opening is not None:
        panels.append(
            _Panel("eye opening", "eye aspect\nratio", (("mean of both", curves.eye_opening),), from_zero=True)
        )
    if curves.rotation_deg is not None:
        turns = tuple((name, curves.rotation_deg[:, k]) for k, name in enumerate(_AXES))
        panels.append(_Panel(_ROTATION, "degrees", turns))
    return panels


def _label(curves: Curves, dimension: int) -> str:
    return f"{dimension} {curves.names[dimension]}" if curves.names else f"dimension {dimension}"


def _draw_panel(axis: Any, panel: _Panel, time_s: np.ndarray, curves: Curves) -> None:
    for first, end in gaps(curves.valid):
        axis.axvspan(first / curves.fps, end / curves.fps, color=_GAP_COLOUR, lw=0, zorder=0)
    for k, (label, values) in enumerate(panel.lines):
        seen = np.where(curves.valid, values.astype(np.float64), np.nan)
        colour, style = _COLOURS[k % len(_COLOURS)], _STYLES[k % len(_STYLES)]
        axis.plot(time_s, seen, color=colour, ls=style, lw=1.2, label=label, marker="." if len(time_s) == 1 else None)
    axis.set_title(panel.title, size=9, loc="left", pad=3)
    axis.set_ylabel(panel.unit, size=8)
    axis.tick_params(labelsize=8)
    axis.grid(visible=True, color="#E5E5E5", lw=0.6)
    axis.set_axisbelow(True)
    axis.margins(y=0.08)
    if panel.from_zero:
        axis.set_ylim(bottom=0)
    axis.legend(loc="center left", bbox_to_anchor=(1.005, 0.5), frameon=False, fontsize=8, handlelength=2.2)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)


def _tell_gaps(figure: Any, height: int) -> None:
    """A key for the grey bands, in the upper right corner."""
    from matplotlib.patches import Patch

    key = Patch(color=_GAP_COLOUR, label="no face, no values")
    place = (1 - 12 / _WIDTH_PX, 1 - 8 / height)
    figure.legend(handles=[key], loc="upper right", bbox_to_anchor=place, frameon=False, fontsize=8)
