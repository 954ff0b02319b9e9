"""MATLAB files of coefficients: those of PIRenderer, StyleTalk and DreamTalk, and those of SadTalker.

- `coeff` (T, 257) and `transform_params` (T, 5): PIRender scripts/face_recon_videos.py writes it, StyleTalk and
  DreamTalk core/utils.py read it (expression from style clips; angle, translation and crop from pose clips).
- `coeff_3dmm` (T, 73 or 70) and perhaps `full_3dmm`: SadTalker src/utils/preprocess.py (73) and
  src/test_audio2coeff.py (70). SadTalker itself stores only the first frame in `full_3dmm`, (1, 257), whatever T is,
  and reads it nowhere; it is used here when it has all T frames.
"""

from pathlib import Path

import numpy as np

from chdtf.errors import UserError
from chdtf.files import atomic_path
from chdtf.morphable.exchange.bfm_coefficients import BfmCoefficients, Gaps, as_float32
from chdtf.morphable.exchange.layouts import LAYOUTS
from chdtf.morphable.exchange.mat5 import read_variables, write_variables

PIRENDERER, SADTALKER = "PIRenderer .mat", "SadTalker .mat"
_LARGEST = 1 << 31  # bytes: what the format can hold in one variable
_KEY_SETS = ({"coeff", "transform_params"}, {"coeff"}, {"coeff_3dmm", "full_3dmm"}, {"coeff_3dmm"})
_EXPECTED = (
    "expected coeff (T, 257) with transform_params (T, 5), as PIRenderer, StyleTalk and DreamTalk have them, or "
    "coeff_3dmm (T, 73 or 70), as SadTalker has it"
)


def read_mat(path: Path, rounded: bool = False) -> tuple[BfmCoefficients, str]:
    """The clip in a `.mat` file, and of which kind the file is.

    Raises `UserError` for any other file, naming keys, shapes and what was expected. `rounded` as in `from_array`.
    """
    arrays = _arrays(path)
    try:
        if "coeff" in arrays:
            found = BfmCoefficients.from_array(arrays["coeff"], "257", arrays.get("transform_params"), rounded)
            return found, PIRENDERER
        motion = BfmCoefficients.from_array(arrays["coeff_3dmm"], _motion_layout(arrays["coeff_3dmm"]), None, rounded)
        return _with_full(motion, arrays.get("full_3dmm"), rounded), SADTALKER
    except ValueError as error:
        raise UserError(f"{path}: {error}; {_EXPECTED}") from error


def write_mat(path: Path, coefficients: BfmCoefficients, layout: str = "257", gaps: Gaps = "refuse") -> None:
    """Write a `.mat` file, whole or not at all; the same coefficients give the same bytes.

    Layout 257 is PIRenderer's, with `transform_params` where they are known; 73 and 70 are SadTalker's, with
    `full_3dmm` (T, 257) where all its parts are known.

    Raises `UserError` for another layout, for missing parts, and as `to_array` does for frames that are not valid.
    """
    if layout == "257":
        arrays = {"coeff": coefficients.to_array("257", gaps)}
        if coefficients.transform_params is None and coefficients.crop is not None:
            raise UserError(
                "a .mat of layout 257 has transform_params, and these coefficients hold only the last three of them "
                "(crop): say how large the frames are with --frame-size (256 for PIRenderer), or write a .npy"
            )
        if coefficients.transform_params is not None:
            arrays["transform_params"] = coefficients.to_array("transform_params", gaps)
    elif layout in ("73", "70"):
        arrays = {"coeff_3dmm": coefficients.to_array(layout, gaps)}
        if all(getattr(coefficients, name) is not None for name in LAYOUTS["257"].slices):
            arrays["full_3dmm"] = coefficients.to_array("257", gaps)
    else:
        raise UserError(f"no method reads a .mat of layout {layout}; choose 257, 73 or 70, or write a .npy")
    with atomic_path(path) as temporary:
        temporary.write_bytes(write_variables(arrays))


def _arrays(path: Path) -> dict[str, np.ndarray]:
    """The variables of a file by name, when they are those of a kind that is known."""
    try:
        if path.stat().st_size > _LARGEST:
            raise UserError(f"{path}: has more than {_LARGEST:,} bytes; {_EXPECTED}")
        found = read_variables(path.read_bytes())
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file") from error
    except (ValueError, OSError) as error:
        raise UserError(f"{path}: {error}; {_EXPECTED}") from error
    arrays = {variable.name: variable.array for variable in found if variable.array is not None}
    if len(arrays) != len(found) or set(arrays) not in _KEY_SETS:
        held = ", ".join(f"{variable.name} {variable.shape} {variable.kind}" for variable in found) or "nothing"
        raise UserError(f"{path}: holds {held}; {_EXPECTED}, all single or double")
    return arrays


def _motion_layout(array: np.ndarray) -> str:
    width = str(array.shape[-1])
    return width if width in ("73", "70") else "73"


def _with_full(motion: BfmCoefficients, full: np.ndarray | None, rounded: bool) -> BfmCoefficients:
    """The motion with identity, texture and gamma from `full_3dmm`, when that has every frame."""
    if full is None:
        return motion
    if full.shape == (1, LAYOUTS["257"].width) and motion.num_frames > 1:
        as_float32(full, LAYOUTS["257"], rounded)  # one frame of an unread array: only looked at
        return motion
    if full.shape != (motion.num_frames, LAYOUTS["257"].width):
        raise ValueError(f"full_3dmm is {full.shape}, expected (T, 257) or (1, 257) for T = {motion.num_frames}")
    found = BfmCoefficients.from_array(full, "257", None, rounded)
    for name in LAYOUTS["70"].slices:
        if not np.array_equal(getattr(found, name), getattr(motion, name)):
            raise ValueError(f"{name} in full_3dmm is not what coeff_3dmm says")
    return found.replace(crop=motion.crop)
