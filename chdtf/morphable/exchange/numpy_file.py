"""`.npy` files of coefficients: one array (T, K), its layout known by K.

StyleTalk and DreamTalk write (T, 73) before they render and render from it (dreamtalk generators/utils.py reads
`.npy` of 73 and 257 columns). Files are read without pickle.
"""

from pathlib import Path

import numpy as np

from chdtf.errors import UserError
from chdtf.files import atomic_path
from chdtf.morphable.exchange.bfm_coefficients import BfmCoefficients, Gaps
from chdtf.morphable.exchange.layouts import known_widths, layout_of_width

_EXPECTED = f"expected float32 (T, K), K one of {known_widths()}"


def read_numpy(path: Path, rounded: bool = False) -> tuple[BfmCoefficients, str]:
    """The clip in a `.npy` file, and the name of its layout.

    Raises `UserError` for any other file, naming the shape and what was expected. `rounded` as in `from_array`.
    """
    shape, dtype = _header(path)
    layout = layout_of_width(shape[1]) if len(shape) == 2 else None
    if layout is None or dtype.hasobject or dtype.kind != "f":
        raise UserError(f"{path}: holds {dtype} {shape}; {_EXPECTED}")
    try:
        array = np.load(path, allow_pickle=False, mmap_mode="r" if shape[0] else None)  # mapped: a false size is seen
        return BfmCoefficients.from_array(array, layout.name, None, rounded), layout.name
    except (ValueError, OSError, EOFError) as error:
        raise UserError(f"{path}: {error}; {_EXPECTED}") from error


def write_numpy(path: Path, coefficients: BfmCoefficients, layout: str = "73", gaps: Gaps = "refuse") -> None:
    """Write a `.npy` file, whole or not at all. Raises `UserError` as `BfmCoefficients.to_array` does."""
    array = coefficients.to_array(layout, gaps)
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.lib.format.write_array(stream, array, version=(1, 0), allow_pickle=False)


def _header(path: Path) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and dtype, before anything is read."""
    try:
        with path.open("rb") as stream:
            version = np.lib.format.read_magic(stream)
            read = np.lib.format.read_array_header_1_0 if version[0] == 1 else np.lib.format.read_array_header_2_0
            shape, _, dtype = read(stream)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file") from error
    except Exception as error:  # the header is a Python literal, and NumPy's reader ends in whatever that ends in
        why = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"{path}: not a NumPy array file ({why}); {_EXPECTED}") from error
    return shape, dtype
