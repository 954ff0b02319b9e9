"""Poses between our weak-perspective frame and Deep3DFaceRecon's camera.

Ours (`chdtf.morphable.coefficients`): x right, y down, z away from the viewer, pixels of the frame. Theirs: x right,
y up, z to the viewer; the rotated face is moved by `translation`, seen by a pinhole at z = 10 with focal length 1015
px and centre 112 px (models/bfm.py, `to_camera`, `to_image`; options/base_options.py), in a crop of 224 px that
`transform_params` cut out of the frame (util/preprocess.py, `resize_n_crop_img`). Pixels are counted from the edge
of the picture, so that its centre is half its size, as their renderer does; their landmark loss counts from the
middle of pixels, half a pixel beside it.

Rotation, and scale and translation at the depth of the face model's origin, are exact, and both ways undo each other.
What a pinhole draws larger because it is nearer has no counterpart in weak perspective. Over the vertices of a face
with 90 px between the outer eye corners, in 256 px frames, that is 0.8 px on average when it looks at the viewer and
1.3 px at a yaw of 90 degrees; 5 px at most. Our z translation has no counterpart, and comes back as 0.
"""

import dataclasses

import numpy as np
from scipy.spatial.transform import Rotation

from chdtf.errors import UserError
from chdtf.morphable.coefficients import Coefficients
from chdtf.morphable.exchange.bfm_coefficients import BfmCoefficients
from chdtf.morphable.exchange.layouts import NUM_BFM_EXPRESSION, NUM_BFM_IDENTITY
from chdtf.morphable.exchange.rotation import to_angle, to_matrix
from chdtf.morphable.model import FaceModel
from chdtf.schema import FRAME_SIZE_PX

FOCAL_PX, CENTRE_PX, CAMERA_Z, CROP_SIZE_PX = 1015.0, 112.0, 10.0, 224
RESCALE_PX = 102.0  # align_img: px per Deep3DFaceRecon unit to which a face is brought in the crop
_FLIP = np.array([1.0, -1.0, -1.0])  # x right, y down, z away <-> x right, y up, z to the viewer


@dataclasses.dataclass(frozen=True, eq=False)
class Crop:
    """How the frame became the crop: crop = frame * scale - offset, both (T, 2), x and y down, px."""

    scale: np.ndarray
    offset: np.ndarray

    @classmethod
    def of(cls, transform_params: np.ndarray) -> "Crop":
        """From (T, 5), with the whole numbers of pixels that `resize_n_crop_img` rounds to.

        That code rounds before the parameters are stored as float32: where its float64 fell just below a whole
        number, this offset is one pixel of the crop beside its.
        """
        size, scale, centre = np.split(transform_params.astype(np.float64), [2, 3], axis=1)
        resized = np.trunc(size * scale)
        from_middle = np.concatenate([centre[:, :1] - size[:, :1] / 2, size[:, 1:] / 2 - centre[:, 1:]], axis=1)
        offset = np.trunc(resized / 2 - CROP_SIZE_PX / 2 + from_middle * scale)
        return cls(resized / size, offset)

    def to_frame(self, points: np.ndarray) -> np.ndarray:
        """Points of the crop (T, ..., 2) -> of the frame."""
        scale, offset = self._like(points)
        moved: np.ndarray = (points + offset) / scale
        return moved

    def to_crop(self, points: np.ndarray) -> np.ndarray:
        """Points of the frame (T, ..., 2) -> of the crop."""
        scale, offset = self._like(points)
        moved: np.ndarray = points * scale - offset
        return moved

    @property
    def magnification(self) -> np.ndarray:
        """Pixels of the crop per pixel of the frame, (T,): x and y differ by the rounding, this is between them."""
        mean: np.ndarray = np.sqrt(self.scale.prod(axis=1))
        return mean

    def _like(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        shape = (len(points), *(1,) * (points.ndim - 2), 2)
        return self.scale.reshape(shape), self.offset.reshape(shape)


def pinhole(points: np.ndarray, angle: np.ndarray, translation: np.ndarray) -> np.ndarray:
    """Deep3DFaceRecon's camera: points (T, N, 3) in its units -> (T, N, 2) px of the crop, x right and y down."""
    turned = points @ np.swapaxes(to_matrix(angle), 1, 2) + translation[:, None]
    flat = FOCAL_PX * turned[..., :2] / (CAMERA_Z - turned[..., 2:])
    seen: np.ndarray = CENTRE_PX + flat * _FLIP[:2]
    return seen


def project(coefficients: BfmCoefficients, vertices: np.ndarray) -> np.ndarray:
    """Where the pinhole sees vertices (T, N, 3), Deep3DFaceRecon units, in the frame: (T, N, 2) px, y down.

    NaN in frames that are not valid. Raises `UserError` if angle, translation or transform_params are missing.
    """
    angle, translation, transform = _posed_parts(coefficients)
    seen = np.full((*vertices.shape[:2], 2), np.nan)
    valid = coefficients.valid
    in_crop = pinhole(vertices[valid].astype(np.float64), angle[valid], translation[valid].astype(np.float64))
    seen[valid] = Crop.of(transform[valid]).to_frame(in_crop)
    return seen


def bfm_from_fit(
    coefficients: Coefficients,
    model: FaceModel,
    size_px: tuple[int, int] = (FRAME_SIZE_PX, FRAME_SIZE_PX),
    transform_params: np.ndarray | None = None,
) -> BfmCoefficients:
    """Fitted coefficients of the Basel Face Model in Deep3DFaceRecon's camera. Texture and gamma stay None.

    Args:
        coefficients: of a fit with `face_model=bfm`.
        model: the face model of the fit.
        size_px: (width, height) of the frames.
        transform_params: (T, 5) float32, the crops to use; by default those that `align_img` would choose: the face
            102 px per unit large and the model's source origin in the middle.

    Raises:
        UserError: if the model is not a Basel Face Model (80 identity and 64 expression dimensions).
        ValueError: if `transform_params` is not (T, 5).

    """
    check_is_bfm(model)
    valid = coefficients.valid
    scale, moved = coefficients.scale[valid].astype(np.float64), coefficients.translation[valid].astype(np.float64)
    turn = Rotation.from_rotvec(coefficients.rotation[valid].astype(np.float64)).as_matrix() * np.outer(_FLIP, _FLIP)
    pivot = turn @ model.origin.astype(np.float64)  # (V, 3) of the model's origin, rotated
    if transform_params is None:
        centre = moved[:, :2] - (scale / model.unit)[:, None] * pivot[:, :2] * _FLIP[:2]
        chosen = _aligned(centre, scale / model.unit, size_px)
    elif transform_params.shape != (len(valid), 5):
        raise ValueError(f"transform_params of {len(valid)} frames is {transform_params.shape}, not {(len(valid), 5)}")
    else:
        chosen = transform_params[valid].astype(np.float32)
    crop = Crop.of(chosen)
    depth = FOCAL_PX * model.unit / (scale * crop.magnification)
    sideways = (crop.to_crop(moved[:, :2]) - CENTRE_PX) * _FLIP[:2] * depth[:, None] / FOCAL_PX
    translation = np.concatenate([sideways, CAMERA_Z - depth[:, None]], axis=1) - pivot
    return BfmCoefficients(
        expression=coefficients.expression,
        valid=valid,
        identity=np.repeat(coefficients.identity[None], len(valid), axis=0),
        angle=_spread(to_angle(turn), valid),
        translation=_spread(translation, valid),
        transform_params=_spread(chosen, valid),
    )


def fit_from_bfm(coefficients: BfmCoefficients, model: FaceModel) -> Coefficients:
    """Deep3DFaceRecon's coefficients as those of a fit: the other way.

    The identity is the mean over valid frames (a fit has one for the clip). Raises `UserError` if identity, angle,
    translation or transform_params are missing, no frame is valid, or the model is not a Basel Face Model.
    """
    check_is_bfm(model)
    angle, moved, transform = _posed_parts(coefficients)
    valid = coefficients.valid
    if coefficients.identity is None:
        raise UserError("these coefficients have no identity, which a fit needs; use a file of layout 257")
    if not valid.any():
        raise UserError(f"none of {len(valid)} frames is valid")
    turn = to_matrix(angle[valid])
    centre = turn @ model.origin.astype(np.float64) + moved[valid].astype(np.float64)
    depth = CAMERA_Z - centre[:, 2]
    crop = Crop.of(transform[valid])
    place = crop.to_frame(CENTRE_PX + FOCAL_PX * centre[:, :2] * _FLIP[:2] / depth[:, None])
    return Coefficients(
        identity=coefficients.identity[valid].mean(axis=0, dtype=np.float64).astype(np.float32),
        expression=coefficients.expression,
        rotation=_spread(Rotation.from_matrix(turn * np.outer(_FLIP, _FLIP)).as_rotvec(), valid),
        translation=_spread(np.concatenate([place, np.zeros((len(place), 1))], axis=1), valid),
        scale=_spread(FOCAL_PX * model.unit / (depth * crop.magnification), valid),
        valid=valid,
    )


def check_is_bfm(model: FaceModel) -> None:
    """Raise `UserError` unless the model's coefficients are those of Deep3DFaceRecon's Basel Face Model."""
    found = (model.num_identity, model.num_expression)
    if model.free_identity or found != (NUM_BFM_IDENTITY, NUM_BFM_EXPRESSION):
        raise UserError(
            f"face model {model.name} has {found[0]} identity and {found[1]} expression dimensions of its own; the "
            "field's files hold the Basel Face Model's 80 and 64: fit it again with face_model=bfm"
        )


def _aligned(centre: np.ndarray, px_per_unit: np.ndarray, size_px: tuple[int, int]) -> np.ndarray:
    """(T, 5) float32: crops with `centre` (T, 2) px, y down, in the middle and the face `RESCALE_PX` large."""
    width, height = (np.full(len(centre), float(side)) for side in size_px)
    params = [width, height, RESCALE_PX / px_per_unit, centre[:, 0], height - centre[:, 1]]
    stacked: np.ndarray = np.stack(params, axis=1)
    return stacked.astype(np.float32)


def _posed_parts(coefficients: BfmCoefficients) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Angle, translation and transform_params, which a pose needs."""
    angle, translation, transform = coefficients.angle, coefficients.translation, coefficients.transform_params
    if angle is None or translation is None or transform is None:
        lacking = [name for name in ("angle", "translation", "transform_params") if getattr(coefficients, name) is None]
        raise UserError(
            f"a pose in the frame needs {' and '.join(lacking)}, which these coefficients lack; a .mat of layout 257 "
            "with transform_params has all"
        )
    return angle, translation, transform


def _spread(values: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Values of the valid frames among zeros, float32 (T, ...)."""
    full = np.zeros((len(valid), *values.shape[1:]), np.float32)
    full[valid] = values
    return full
