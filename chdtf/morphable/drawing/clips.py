"""What there is to draw of a dataset's clip and of a coefficient file."""

import numpy as np
from scipy.spatial.transform import Rotation

from chdtf.clip import Clip, face_model_of
from chdtf.faces import eye_aspect_ratio, mouth_opening
from chdtf.morphable.drawing.curves import Curves
from chdtf.morphable.exchange.clips import BfmClip
from chdtf.morphable.exchange.rotation import euler_deg, to_matrix
from chdtf.morphable.model import FaceModel, load_model

_FLIP = np.array([1.0, -1.0, -1.0])  # y up and z to the viewer, to y down and z away


def curves_of_clip(clip: Clip) -> tuple[Curves, FaceModel]:
    """Curves of a clip of a published dataset, openings from its landmarks; and its face model.

    Raises `UserError` when its files are missing or corrupt, or its face model is another one than here.
    """
    model = load_model(face_model_of([clip])[0])
    coefficients, landmarks = clip.coefficients(), clip.landmarks()
    curves = Curves(
        title=f"{clip.clip_id}: {model.name} coefficients, {clip.num_frames} frames at {clip.fps} fps",
        fps=clip.fps,
        valid=coefficients.valid,
        expression=coefficients.expression,
        expression_unit="weight" if model.expression_names else "standard\ndeviations",
        names=model.expression_names,
        motion=np.sqrt(np.square(model.expression_basis.astype(np.float64)).sum(axis=(1, 2))),
        rotation_deg=euler_deg(coefficients.rotation),
        mouth_opening=mouth_opening(landmarks),
        eye_opening=eye_aspect_ratio(landmarks),
    )
    return curves, model


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
    )
