"""The numbers that drive the network, frame by frame, and their windows.

Layout `73` is the published one: 64 expression, 3 angle, 3 translation of Deep3DFaceRecon's Basel Face Model and the
3 crop parameters, unscaled (`chdtf.morphable.exchange.layouts`). Layout `fit` is ours, for any face model of
`chdtf.morphable`: its K expression coefficients, the rotation vector (radians), where the face stands (x, y, from the
middle of the frame, in halves of its side) and the natural logarithm of its scale against a quarter of the side. A
depth is not among them: under weak perspective it moves nothing. mp468 has 70 numbers.
"""

import numpy as np
import torch

from chdtf.errors import UserError
from chdtf.morphable.coefficients import Coefficients
from chdtf.morphable.exchange.camera import bfm_from_fit
from chdtf.morphable.model import FaceModel
from chdtf.schema import FRAME_SIZE_PX

PUBLISHED, FIT = "73", "fit"
_NUM_POSE = 6


def width_of(layout: str, model: FaceModel) -> int:
    """Numbers a frame of a layout, for coefficients of a model."""
    return int(layout) if layout == PUBLISHED else model.num_expression + _NUM_POSE


def semantics_of(coefficients: Coefficients, model: FaceModel, layout: str) -> np.ndarray:
    """float32 (T, K): the numbers of every frame, in 256 px frames; those of frames that are not valid mean nothing.

    Raises `UserError` when the coefficients are of another face model, by their sizes, or the layout does not go with
    the model.
    """
    found = (coefficients.identity.shape, coefficients.expression.shape[1])
    if found != (model.identity_shape, model.num_expression):
        raise UserError(
            f"these coefficients have an identity of {found[0]} and {found[1]} expression dimensions, the renderer's "
            f"face model {model.name} {model.identity_shape} and {model.num_expression}: drive it with coefficients of "
            f"{model.name}, or take weights that were trained with theirs"
        )
    if layout == PUBLISHED:
        return bfm_from_fit(coefficients, model).to_array(PUBLISHED, gaps="nan")
    place = (coefficients.translation[:, :2] - FRAME_SIZE_PX / 2) / (FRAME_SIZE_PX / 2)
    size = np.log(np.where(coefficients.valid, coefficients.scale, 1) / (FRAME_SIZE_PX / 4))
    columns = (coefficients.expression, coefficients.rotation, place, size[:, None])
    joined: np.ndarray = np.concatenate(columns, axis=1).astype(np.float32)
    return joined


def held(semantics: np.ndarray, valid: np.ndarray, before: np.ndarray) -> np.ndarray:
    """(T, K) with the last valid row in place of each that is not valid; `before` (K,) where there is none yet."""
    rows = np.concatenate([before[None], semantics])
    last = np.maximum.accumulate(np.where(valid, np.arange(1, len(valid) + 1), 0))
    return np.ascontiguousarray(rows[last], np.float32)


def padded(semantics: np.ndarray, radius_frames: int) -> torch.Tensor:
    """(T, K) -> float32 (1, K, T + 2 radius), the first and the last frame repeated: what `MappingNetwork` reads."""
    edged = np.pad(semantics, ((radius_frames, radius_frames), (0, 0)), mode="edge")
    return torch.from_numpy(np.ascontiguousarray(edged.T, np.float32))[None]


def window(semantics: np.ndarray, frame: int, radius_frames: int) -> np.ndarray:
    """The window about one frame: float32 (K, 2 radius + 1), frames beyond the ends replaced by the nearest."""
    near = np.arange(frame - radius_frames, frame + radius_frames + 1).clip(0, len(semantics) - 1)
    return np.ascontiguousarray(semantics[near].T, np.float32)
