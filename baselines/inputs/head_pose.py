"""Head poses from MediaPipe's landmarks, in the conventions of OpenFace and of Deep3DFaceRecon.

Both begin with the similarity that brings mp468's mean face to the landmarks of a frame, on vertices that expressions
move little. Measured on ten clips of StyleTalk's samples (2,460 frames) against the published coefficients, constants
fitted on the other nine: roll and yaw correlate with 0.95 to 1.00 (yaw 0.69 where the head hardly turns) and err by
0.2 to 0.6 and 0.4 to 1.3 degrees around a mean of up to 0.7 and 2.2; pitch correlates with 0.51 to 0.98, errs by 0.7
to 1.5 degrees around a mean of up to 4.3, by the person. The place of the head in the frame lies within 4.5 px of
theirs and follows it with 0.88 to 1.00, its size within 3 %. Solving for the rotation in perspective was no better.
"""

import dataclasses
import functools

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from chdtf.morphable.coefficients import Coefficients
from chdtf.morphable.exchange.bfm_coefficients import BfmCoefficients
from chdtf.morphable.exchange.camera import bfm_from_fit
from chdtf.morphable.exchange.layouts import NUM_BFM_EXPRESSION, NUM_BFM_IDENTITY
from chdtf.morphable.ibug import IBUG_68
from chdtf.morphable.model import FaceModel, load_model
from chdtf.morphable.regression.align import align, five_points
from chdtf.morphable.similarity import Similarity, fit_similarity
from chdtf.schema import FRAME_SIZE_PX, NUM_VERTICES

EYE_CORNERS_MM = 91.2  # between the outer eye corners of OpenFace's mean face, which gives its translations their scale
# The Basel Face Model's front and origin on mp468's mean face, fitted on those ten clips: it looks 2.7 degrees lower
_BFM_PITCH_RAD = 0.0478
_BFM_UNIT = 0.832  # its units in an outer eye corner distance
_BFM_CENTROID = (0.0, -0.024, 0.382)  # of mp468's vertices, in its units; x is 0 by symmetry


def openface_camera(width: int, height: int) -> np.ndarray:
    """The camera that OpenFace assumes for a picture of unknown origin, float64 (3, 3): 500 px for 640x480."""
    focal = (500 * width / 640 + 500 * height / 480) / 2
    return np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1.0]])


def openface_poses(landmarks: np.ndarray, width: int = FRAME_SIZE_PX, height: int = FRAME_SIZE_PX) -> np.ndarray:
    """Poses as OpenFace gives them, float64 (T, 6): Tx, Ty, Tz in mm and Rx, Ry, Rz in radians.

    Camera axes: x right, y down, z away from the camera; R = Rx Ry Rz turns a face that looks at the camera (x to the
    right of the picture, y to the chin, z into the head). So Rx > 0 bows the head, Ry > 0 turns the nose to the left of
    the picture, Rz > 0 tilts it clockwise. T is where the centroid of the face's 68 points is.

    As OpenFace does, by least squares over the 68 points in its camera, from the similarity; it fits the shape of the
    face too, this takes the mean face. Exact for that face.

    Args:
        landmarks: (T, 478, 3) px, not NaN.
        width: of the frame, px.
        height: of the frame, px.

    """
    points = list(IBUG_68)
    face = load_model("mp468").landmark_mean * EYE_CORNERS_MM
    centroid = face[points].mean(axis=0)
    camera = openface_camera(width, height)
    first = _similarity(landmarks)
    poses = np.empty((len(landmarks), 6))
    for number, frame in enumerate(np.ascontiguousarray(landmarks[:, points, :2], np.float64)):
        turn = Rotation.from_matrix(first.rotation[number]).as_rotvec()
        depth = camera[0, 0] * EYE_CORNERS_MM / first.scale[number]
        middle = frame.mean(axis=0) - camera[:2, 2]
        start = np.array([*(middle * depth / camera[0, 0]), depth])
        _, turn, place = cv2.solvePnP(
            face[points] - centroid, frame, camera, None, turn.reshape(3, 1), start.reshape(3, 1), True
        )
        angles = Rotation.from_rotvec(turn[:, 0]).as_euler("XYZ")
        poses[number] = *place[:, 0], *angles
    return poses


def bfm_poses(landmarks: np.ndarray, width: int = FRAME_SIZE_PX, height: int = FRAME_SIZE_PX) -> BfmCoefficients:
    """Poses and crops as Deep3DFaceRecon's, with expression, identity, texture and light 0; NaN frames are not valid.

    Args:
        landmarks: (T, 478, 3) px, NaN where no face was found.
        width: of the frame, px.
        height: of the frame, px.

    """
    valid = ~np.isnan(landmarks).any(axis=(1, 2))
    frames = len(landmarks)
    found = _similarity(landmarks[valid])
    rotation = np.zeros((frames, 3))
    translation, scale = np.zeros((frames, 3)), np.zeros(frames)
    tilt = Rotation.from_euler("x", -_BFM_PITCH_RAD)  # x is the same axis in both
    rotation[valid] = (Rotation.from_matrix(found.rotation) * tilt).as_rotvec()
    translation[valid], scale[valid] = found.translation, found.scale
    fit = Coefficients(
        identity=np.zeros(NUM_BFM_IDENTITY, np.float32),
        expression=np.zeros((frames, NUM_BFM_EXPRESSION), np.float32),
        rotation=rotation,
        translation=translation,
        scale=scale,
        valid=valid,
    )
    return bfm_from_fit(fit, _stand_in(), (width, height), bfm_crops(landmarks, width, height)).with_zero_appearance()


def bfm_crops(landmarks: np.ndarray, width: int = FRAME_SIZE_PX, height: int = FRAME_SIZE_PX) -> np.ndarray:
    """`transform_params` as Deep3DFaceRecon's own alignment chooses them: float32 (T, 5), NaN as landmarks."""
    return align(five_points(landmarks, height), width, height)


def _similarity(landmarks: np.ndarray) -> Similarity:
    model = load_model("mp468")
    points = landmarks[:, :NUM_VERTICES].astype(np.float64)
    return fit_similarity(model.landmark_mean, points, model.alignment_weights)


@functools.lru_cache(maxsize=1)
def _stand_in() -> FaceModel:
    """mp468's mean face where the Basel Face Model's would lie, with bases of its sizes that do nothing."""
    model = load_model("mp468")
    vertices = model.num_vertices
    return dataclasses.replace(
        model,
        name="bfm's place on mp468",
        identity_basis=np.zeros((NUM_BFM_IDENTITY, vertices, 3), np.float32),
        expression_basis=np.zeros((NUM_BFM_EXPRESSION, vertices, 3), np.float32),
        expression_deviation=np.ones(NUM_BFM_EXPRESSION, np.float32),
        free_identity=False,
        expression_names=(),
        unit=_BFM_UNIT,
        origin=np.array(_BFM_CENTROID, np.float32),
    )
