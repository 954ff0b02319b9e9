"""`BfmCoefficients`: one clip in the coefficients of Deep3DFaceRecon's Basel Face Model, whatever file it came from."""

import dataclasses
from typing import Literal

import numpy as np

from chdtf.errors import UserError
from chdtf.morphable.exchange.layouts import (
    APPEARANCE,
    CROP,
    FRAME_LAYOUTS,
    LAYOUTS,
    PARTS,
    TRANSFORM,
    Layout,
    known_widths,
    layout_of_width,
)

Gaps = Literal["refuse", "nan", "hold"]


@dataclasses.dataclass(frozen=True, eq=False)
class BfmCoefficients:
    """T frames; a part that the file lacks is None. Sizes, units and meanings: `layouts.PARTS`.

    Arrays are float32 and kept bit by bit; frames that are not valid are zero throughout. `crop` is columns 2 to 4 of
    `transform_params` where those are known. Raises `ValueError` for other shapes and for values that are not finite.
    """

    expression: np.ndarray  # (T, 64)
    valid: np.ndarray  # (T,) bool
    identity: np.ndarray | None = None  # (T, 80)
    texture: np.ndarray | None = None  # (T, 80)
    angle: np.ndarray | None = None  # (T, 3) rad
    gamma: np.ndarray | None = None  # (T, 27)
    translation: np.ndarray | None = None  # (T, 3)
    transform_params: np.ndarray | None = None  # (T, 5)
    crop: np.ndarray | None = None  # (T, 3)

    def __post_init__(self) -> None:
        valid = np.array(self.valid, bool)
        if valid.ndim != 1 or not len(valid):
            raise ValueError(f"valid is (T,) with one frame or more, not {valid.shape}")
        object.__setattr__(self, "valid", valid)
        for part in PARTS:
            given = getattr(self, part.name)
            if given is not None:
                object.__setattr__(self, part.name, _checked(part.name, given, part.size, valid))
        if self.expression is None:
            raise ValueError("expression is missing")
        if self.transform_params is not None:
            crop = self.transform_params[:, -CROP.size :]
            if self.crop is not None and not np.array_equal(self.crop, crop):
                raise ValueError("crop is not what transform_params says")
            object.__setattr__(self, "crop", crop)

    @property
    def num_frames(self) -> int:
        """T."""
        return len(self.valid)

    @property
    def parts(self) -> dict[str, np.ndarray]:
        """The parts that are there, by name, in the order of the table."""
        found = {part.name: getattr(self, part.name) for part in PARTS}
        return {name: array for name, array in found.items() if array is not None}

    def replace(self, **arrays: np.ndarray | None) -> "BfmCoefficients":
        """A copy with some arrays exchanged. `transform_params` takes `crop` with it."""
        if "transform_params" in arrays and "crop" not in arrays:
            arrays["crop"] = None
        return dataclasses.replace(self, **arrays)  # type: ignore[arg-type]

    def with_zero_appearance(self) -> "BfmCoefficients":
        """With zeros for those of identity, texture and gamma that are missing: the mean face, grey, in plain light."""
        lacking = [part for part in APPEARANCE if getattr(self, part.name) is None]
        return self.replace(**{part.name: np.zeros((self.num_frames, part.size), np.float32) for part in lacking})

    def with_frame_size(self, size_px: tuple[int, int]) -> "BfmCoefficients":
        """With `transform_params` for frames of (width, height), where only `crop` is known."""
        if self.crop is None or self.transform_params is not None:
            return self
        size = np.tile(np.array(size_px, np.float32), (self.num_frames, 1))
        return self.replace(transform_params=np.concatenate([size, self.crop], axis=1))

    @classmethod
    def from_array(
        cls,
        array: np.ndarray,
        layout: str | None = None,
        transform_params: np.ndarray | None = None,
        rounded: bool = False,
    ) -> "BfmCoefficients":
        """Coefficients from one array (T, width), by its layout or, without a name, by its width.

        float32, or float64 with values that float32 holds exactly. A frame that is NaN throughout is not valid.

        Args:
            array: (T, width).
            layout: a name in `layouts.LAYOUTS`.
            transform_params: (T, 5), as a second array of the same file.
            rounded: whether float64 may be rounded to float32.

        Raises:
            ValueError: for another shape or dtype, and for values that are not finite, with frame and column.

        """
        chosen = _layout(array, layout)
        frames = as_float32(array, chosen, rounded)
        transform = None if transform_params is None else as_float32(transform_params, LAYOUTS[TRANSFORM.name], rounded)
        if transform is not None and len(transform) != len(frames):
            raise ValueError(f"{len(frames)} frames of coefficients, but transform_params is {transform.shape}")
        both = frames if transform is None else np.concatenate([frames, transform], axis=1)
        valid = ~np.isnan(both).all(axis=1)
        _check_finite(frames, valid, chosen)
        arrays = {name: frames[:, columns] for name, columns in chosen.slices.items()}
        if transform is not None:
            _check_finite(transform, valid, LAYOUTS[TRANSFORM.name])
            arrays[TRANSFORM.name] = transform
        return cls(valid=valid, **{name: np.where(valid[:, None], part, 0) for name, part in arrays.items()})

    def to_array(self, layout: str, gaps: Gaps = "refuse") -> np.ndarray:
        """One array, float32 (T, width), in a layout of `layouts.LAYOUTS`.

        No layout has a mask: frames that are not valid are refused, or become NaN (`nan`; read back as not valid), or
        repeat the last valid frame, the first one at the start (`hold`).

        Raises:
            UserError: if a part of the layout is missing, with its name, or frames are not valid.

        """
        chosen = LAYOUTS[layout]
        missing = [name for name in chosen.slices if getattr(self, name) is None]
        if missing:
            lacking = " and ".join(filter(None, [", ".join(missing[:-1]), missing[-1]]))
            raise UserError(
                f"layout {layout} ({chosen.text}) needs {lacking}, which these coefficients lack; "
                f"they hold {', '.join(self.parts)}{_hint(missing)}"
            )
        array: np.ndarray = np.concatenate([getattr(self, name) for name in chosen.slices], axis=1)
        if self.valid.all():
            return array
        return _with_gaps(array, self.valid, gaps)


def as_float32(array: np.ndarray, layout: Layout, rounded: bool = False) -> np.ndarray:
    """An array (T, width) of a layout as float32, value for value unless it may be `rounded`.

    Raises `ValueError` for another shape or dtype.
    """
    if array.ndim != 2 or array.shape[1] != layout.width or not len(array):
        raise ValueError(f"the array is {array.shape}, expected (T, {layout.width}) with one frame or more")
    if array.dtype.kind != "f" or array.dtype.itemsize not in (4, 8):
        raise ValueError(f"the array is {array.dtype}, expected float32 (or float64 that float32 holds exactly)")
    with np.errstate(over="ignore"):
        narrow: np.ndarray = array.astype(np.float32)
    lost = np.argwhere(~((narrow == array) | np.isnan(array)))
    if len(lost) and not rounded:
        frame, column = (int(number) for number in lost[0])
        raise ValueError(
            f"float64 with values that float32 does not hold ({float(array[frame, column])!r} in frame {frame}, "
            f"{layout.column(column)}); --round rounds them, or store the array as float32"
        )
    return narrow


def _hint(missing: list[str]) -> str:
    appearance = {part.name for part in APPEARANCE}
    if set(missing) <= appearance:
        return "; --zero-appearance fills in zeros, which is enough for renderers of motion; --layout 73 needs none"
    return ""


def _layout(array: np.ndarray, name: str | None) -> Layout:
    if name is None:
        found = layout_of_width(array.shape[1]) if array.ndim == 2 else None
        if found is None:
            raise ValueError(f"the array is {array.shape}, expected (T, K) with K one of {known_widths()}")
        return found
    if LAYOUTS.get(name) not in FRAME_LAYOUTS:
        raise ValueError(f"layout {name!r} holds no clip; those that do: {', '.join(x.name for x in FRAME_LAYOUTS)}")
    return LAYOUTS[name]


def _checked(name: str, array: np.ndarray, size: int, valid: np.ndarray) -> np.ndarray:
    """A copy as float32 (T, size), zero where not valid."""
    if array.shape != (len(valid), size):
        raise ValueError(f"coefficients of {len(valid)} frames: {name} is {array.shape}, not {(len(valid), size)}")
    own = np.array(array, np.float32)
    bad = np.argwhere(~np.isfinite(own) & valid[:, None])
    if len(bad):
        raise ValueError(f"{name}[{bad[0][1]}] of frame {bad[0][0]}, which is valid, is {own[tuple(bad[0])]}")
    own[~valid] = 0
    return own


def _check_finite(frames: np.ndarray, valid: np.ndarray, layout: Layout) -> None:
    bad = np.argwhere(~np.isfinite(frames) & valid[:, None])
    if len(bad):
        frame, column = (int(number) for number in bad[0])
        many = f", and {len(bad) - 1} more values" if len(bad) > 1 else ""
        raise ValueError(
            f"{frames[frame, column]} in frame {frame}, column {column} ({layout.column(column)}){many}; "
            "a frame without a face is NaN throughout"
        )


def _with_gaps(array: np.ndarray, valid: np.ndarray, gaps: Gaps) -> np.ndarray:
    """The array with frames that are not valid treated as told."""
    if gaps == "nan":
        array[~valid] = np.nan
        return array
    if not valid.any():
        raise UserError(
            f"none of {len(valid)} frames is valid, so there is nothing to write; --gaps nan writes them as NaN"
        )
    if gaps == "refuse":
        raise UserError(
            f"{int((~valid).sum())} of {len(valid)} frames are not valid, frame {int(np.argmin(valid))} first, and "
            "no layout has a mask; --gaps nan writes them as NaN, --gaps hold repeats the valid frame before"
        )
    last = np.maximum.accumulate(np.where(valid, np.arange(len(valid)), -1))
    held: np.ndarray = array[np.where(last < 0, int(np.argmax(valid)), last)]
    return held
