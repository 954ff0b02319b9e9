"""Pictures and text on one page of an exact size in pixels, and pages written whole or not at all."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from chdtf.errors import UserError
from chdtf.files import atomic_path

SUFFIXES = (".png", ".svg", ".jpg")
_DPI = 100
_JPEG_QUALITY = 84
_FONT = "DejaVu Sans"  # comes with matplotlib


def check_out(out: Path, suffixes: Sequence[str] = SUFFIXES) -> None:
    """Raise `UserError` unless the path ends in one of the formats and lies in a folder that can be written to."""
    if out.suffix.lower() not in suffixes:
        raise UserError(f"{out}: is written as {' or '.join(suffixes)}; choose by the file's name")
    if not out.parent.is_dir():
        raise UserError(f"{out}: there is no folder {out.parent}; make it, or choose another place with --out")
    if out.is_dir():
        raise UserError(f"{out}: is a folder; choose another name with --out")
    if not os.access(out.parent, os.W_OK):
        raise UserError(f"{out}: nothing can be written to the folder {out.parent}; choose another place with --out")


def new_figure(width_px: int, height_px: int) -> Any:
    """An empty matplotlib figure of that size, outside pyplot's list of open figures."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width_px / _DPI, height_px / _DPI), dpi=_DPI)


def save_figure(figure: Any, out: Path) -> None:
    """Write a matplotlib figure in its own size, whole or not at all, without the date. Raises `UserError`."""
    from matplotlib import rc_context

    check_out(out)
    how: dict[str, Any] = {"metadata": {"Date": None}} if out.suffix.lower() == ".svg" else {}
    if out.suffix.lower() == ".jpg":
        how = {"pil_kwargs": {"quality": _JPEG_QUALITY}}
    with atomic_path(out) as temporary, rc_context({"svg.hashsalt": out.stem}):
        figure.savefig(temporary, dpi=_DPI, facecolor="white", **how)


def save_image(image: np.ndarray, out: Path) -> None:
    """Write a picture, uint8 (H, W, 3) RGB, as .png or .jpg, whole or not at all."""
    import cv2

    quality = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY] if out.suffix.lower() == ".jpg" else []
    with atomic_path(out) as temporary:
        cv2.imwrite(str(temporary), image[:, :, ::-1], quality)


class Canvas:
    """A white page of `width` x `height` px; places count from its upper left corner, text sizes are in px."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self._pixels = np.full((height, width, 3), 255, np.uint8)
        self._texts: list[tuple[float, float, str, dict[str, Any]]] = []

    def paste(self, image: np.ndarray, x: int, y: int) -> None:
        """Put a picture, uint8 (h, w, 3) RGB, with its upper left corner at (x, y)."""
        height, width = image.shape[:2]
        self._pixels[y : y + height, x : x + width] = image

    def box(self, x: int, y: int, width: int, height: int, colour: str) -> None:
        """Fill a rectangle with a colour such as #D55E00."""
        rgb = [int(colour[k : k + 2], 16) for k in (1, 3, 5)]
        self._pixels[y : y + height, x : x + width] = rgb

    def text(
        self,
        x: float,
        y: float,
        text: str,
        size: float = 11,
        bold: bool = False,
        align: str = "left",
        colour: str = "#000000",
    ) -> None:
        """Write a line, its middle at height y; `align`: left, center or right."""
        how = {"fontsize": size * 72 / _DPI, "weight": "bold" if bold else "normal", "ha": align, "color": colour}
        self._texts.append((x, y, text, how))

    def save(self, out: Path) -> None:
        """Write as PNG, SVG or JPEG. Raises `UserError` when it cannot be."""
        figure = new_figure(self.width, self.height)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        axes.imshow(self._pixels, extent=(0, self.width, self.height, 0), interpolation="none", aspect="auto")
        for x, y, text, how in self._texts:
            axes.text(x, y, text, va="center_baseline", family=_FONT, **how)
        save_figure(figure, out)
