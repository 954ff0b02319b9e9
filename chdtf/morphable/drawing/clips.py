"""What there is to draw of a dataset's clip and of coefficient files."""

import numpy as np
from scipy.spatial.transform import Rotation

from chdtf.clip import Clip, face_model_of
from chdtf.errors import UserError
from chdtf.faces import eye_aspect_ratio, mouth_opening
from chdtf.morphable.coefficients import Coefficients, landmarks_of
from chdtf.morphable.drawing.curves import Curves
from chdtf.morphable.exchange.camera import fit_from_bfm
from chdtf.morphable.exchange.clips import AnyClip, BfmClip, FittedClip
from chdtf.morphable.exchange.fitted import coefficients_of
from chdtf.morphable.exchange.rotation import euler_deg, to_matrix
from chdtf.morphable.model import FaceModel, load_model

_FLIP = np.array([1.0, -1.0, -1.0])  # y up and z to the viewer, to y down and z away
_SAME_SHAPE = 0.01  # frames whose proportions differ by less were only scaled


def curves_of_clip(clip: Clip) -> tuple[Curves, FaceModel]:
    """Curves of a clip of a published dataset, openings from its landmarks; and its face model.

    Raises `UserError` when its files are missing or corrupt, or its face model is another one than here.
    """
    model = load_model(face_model_of([clip])[0])
    title = f"{clip.clip_id}: {model.name} coefficients, {clip.num_frames} frames at {clip.fps} fps"
    return _curves(title, clip.fps, clip.coefficients(), clip.landmarks(), model), model


def curves_of_fit(clip: FittedClip) -> tuple[Curves, FaceModel]:
    """Curves of a fit, openings from the fitted face; and its face model.

    Raises `UserError` when its face model is not here, or another one.
    """
    model = load_model(clip.face_model)
    found = coefficients_of(clip, model)
    kind = clip.kind + (" (raw values are drawn)" if clip.smooth is not None else "")
    title = f"{clip.clip_id}: {kind}, {found.num_frames} frames at {clip.fps:g} fps"
    return _curves(title, clip.fps, found, landmarks_of(found, model), model), model


def _curves(title: str, fps: float, found: Coefficients, landmarks: np.ndarray, model: FaceModel) -> Curves:
    return Curves(
        title=title,
        fps=fps,
        valid=found.valid,
        expression=found.expression,
        expression_unit="weight" if model.expression_names else "standard\ndeviations",
        names=model.expression_names,
        motion=np.sqrt(np.square(model.expression_basis.astype(np.float64)).sum(axis=(1, 2))),
        rotation_deg=euler_deg(found.rotation),
        mouth_opening=mouth_opening(landmarks),
        eye_opening=eye_aspect_ratio(landmarks),
    )


def curves_of_bfm(clip: BfmClip, fps: float) -> Curves:
    """Curves of a clip from a coefficient file, at `fps` where the file does not tell; openings are not in it."""
    coefficients, assumed = clip.coefficients, "" if clip.fps else "taken as "
    fps = clip.fps or fps
    turns = None
    if coefficients.angle is not None:
        matrices = to_matrix(coefficients.angle) * np.outer(_FLIP, _FLIP)
        turns = euler_deg(Rotation.from_matrix(matrices).as_rotvec())
    return Curves(
        title=f"{clip.clip_id}: {clip.kind}, {coefficients.num_frames} frames, {assumed}{fps:g} fps",
        fps=fps,
        valid=coefficients.valid,
        expression=coefficients.expression,
        expression_unit="standard\ndeviations",
        rotation_deg=turns,
        time_label="time since the file's first frame, s (which may be a later one of its video)",
    )


def fit_on(clip: AnyClip, model: FaceModel, frame_px: tuple[int, int]) -> Coefficients:
    """A clip's coefficients in the pixels of a video's frames.

    Args:
        clip: a fit, which is taken to be of that video; or bfm coefficients, which say of what frames they are.
        model: the clip's face model.
        frame_px: (width, height) of the frames.

    Raises:
        UserError: if the clip is of another face model, lacks its pose, or is of frames of other proportions.

    """
    if isinstance(clip, FittedClip):
        return coefficients_of(clip, model)
    try:
        found = fit_from_bfm(clip.coefficients, model)
    except UserError as error:
        raise UserError(f"clip {clip.clip_id}: {error}") from error
    assert clip.coefficients.transform_params is not None  # or fit_from_bfm raises
    width, height = clip.coefficients.transform_params[clip.coefficients.valid][0, :2].tolist()
    ratio = frame_px[0] / width
    if abs(ratio * height / frame_px[1] - 1) > _SAME_SHAPE:
        raise UserError(
            f"clip {clip.clip_id}: its coefficients are of frames of {width:.0f} x {height:.0f} px, the video's have "
            f"{frame_px[0]} x {frame_px[1]} px; give the video that they were made of"
        )
    return scaled(found, ratio)


def scaled(coefficients: Coefficients, factor: float) -> Coefficients:
    """Coefficients in the pixels of frames `factor` times as large."""
    by = np.float32(factor)
    return coefficients.replace(translation=coefficients.translation * by, scale=coefficients.scale * by)


def placed(coefficients: Coefficients, first_frame: int, num_frames: int) -> Coefficients:
    """Coefficients whose frame 0 is a video's frame `first_frame`, for all frames of the video.

    Frames of the video that have none are not valid; those beyond its ends are left out.
    """
    numbers = np.arange(num_frames) - first_frame
    inside = (numbers >= 0) & (numbers < coefficients.num_frames)
    arrays = {}
    for name in ("expression", "rotation", "translation", "scale", "valid"):
        given = getattr(coefficients, name)
        arrays[name] = np.zeros((num_frames, *given.shape[1:]), given.dtype)
        arrays[name][inside] = given[numbers[inside]]
    return coefficients.replace(**arrays)
