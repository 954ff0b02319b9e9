"""A face model seen at MediaPipe's landmarks: its regions, the openings of mouth and eyes, and least squares."""

import dataclasses
import functools

import numpy as np

from chdtf.errors import UserError
from chdtf.faces import (
    LEFT_EAR,
    LOWER_INNER_LIP,
    OUTER_EYE_CORNERS,
    RIGHT_EAR,
    UPPER_INNER_LIP,
    eye_aspect_ratio,
    mouth_opening,
)
from chdtf.morphable.model import DEFAULT_MODEL, FaceModel, load_model
from chdtf.morphable.regions import region_weights
from chdtf.schema import NUM_VERTICES

REGIONS = ("lip", "eye")
# the landmarks that the openings are read from
_READ = tuple(sorted({UPPER_INNER_LIP, LOWER_INNER_LIP, *OUTER_EYE_CORNERS, *RIGHT_EAR, *LEFT_EAR}))
_FAINT = 1e-4  # noise of landmarks, model units, that only directions which no landmark shows feel
_UNSEEN = 1e-3  # of the median dimension's motion


def openings(landmarks: np.ndarray) -> np.ndarray:
    """Mouth opening and eye aspect ratio of faces, any units: (T, L, 3) with L >= 468 -> float64 (T, 2)."""
    points = landmarks.astype(np.float64)
    return np.stack([mouth_opening(points), eye_aspect_ratio(points)], axis=1)


@dataclasses.dataclass(frozen=True, eq=False)
class Points:
    """The M landmarks that a model maps. Arrays are float64, model units.

    Raises `UserError` when the map lacks a landmark that the openings are read from.
    """

    model: FaceModel

    def __post_init__(self) -> None:
        missing = sorted(set(_READ) - set(self.model.landmark_map.landmarks.tolist()))
        if missing:
            raise UserError(
                f"face model {self.model.name!r}: its landmark map lacks {missing}, from which the openings of mouth "
                f"and eyes are read; map them, or use {DEFAULT_MODEL}"
            )

    @functools.cached_property
    def weights(self) -> np.ndarray:
        """Soft weights in [0, 1] of the lip and of the eye region at the mapped landmarks: (2, M)."""
        landmarks = self.model.landmark_map.landmarks
        plain = self.model.landmark_map.is_plain
        mean = self.model.landmark_mean if plain else load_model(DEFAULT_MODEL).mean
        weights: np.ndarray = np.stack(region_weights(mean))[:, landmarks]
        return weights

    @functools.cached_property
    def solver(self) -> np.ndarray:
        """Least squares as a matrix, (3M, K): landmark offsets (T, 3M) @ solver = expression (T, K).

        Plain where identities are whole faces and hold what the model cannot say (mp468); else with the prior of the
        coefficients against the model's `identity_noise`, because shapes made by hand (ict) are far from orthogonal.
        """
        noise = _FAINT if self.model.free_identity else float(self.model.identity_noise)
        weight = np.repeat(self.model.fit_weights.astype(np.float64), 3)
        deviation = np.asarray(self.model.expression_deviation, np.float64)
        basis = self.model.landmark_expression.reshape(self.model.num_expression, -1) * deviation[:, None]
        normal = (basis * weight) @ basis.T + noise**2 * np.eye(len(basis))
        solved: np.ndarray = np.linalg.solve(normal, basis * weight).T * deviation
        return solved

    @functools.cached_property
    def seen(self) -> np.ndarray:
        """Which dimensions move any landmark to speak of, bool (K,): of the others, Delta / sigma is noise by noise."""
        motion = np.linalg.norm(self.model.landmark_expression, axis=-1).max(axis=1)
        motion = motion * np.asarray(self.model.expression_deviation, np.float64)
        seen: np.ndarray = motion > _UNSEEN * np.median(motion)
        return seen

    def neutral(self, identity: np.ndarray) -> np.ndarray:
        """The neutral face of an identity at the mapped landmarks: (M, 3)."""
        return self.model.landmark_map.at(self.model.face(identity))

    def offsets(self, expression: np.ndarray) -> np.ndarray:
        """What expressions (T, K) do to the mapped landmarks: (T, M, 3)."""
        flat = expression.astype(np.float64) @ self.model.landmark_expression.reshape(self.model.num_expression, -1)
        offsets: np.ndarray = flat.reshape(len(expression), -1, 3)
        return offsets

    def expression(self, offsets: np.ndarray) -> np.ndarray:
        """The expressions (T, K) that come closest to landmark offsets (T, M, 3)."""
        found: np.ndarray = offsets.reshape(len(offsets), -1) @ self.solver
        return found

    def opening(self, neutral: np.ndarray, expression: np.ndarray) -> np.ndarray:
        """Openings (T, 2) of a neutral face (M, 3) with expressions (T, K), looking at the viewer."""
        at = self._columns
        basis = self.model.landmark_expression[:, at]
        faces = np.zeros((len(expression), NUM_VERTICES, 3))
        moved = (expression.astype(np.float64) @ basis.reshape(len(basis), -1)).reshape(len(expression), -1, 3)
        faces[:, list(_READ)] = neutral[at] + moved
        return openings(faces)

    @functools.cached_property
    def _columns(self) -> np.ndarray:
        return np.searchsorted(self.model.landmark_map.landmarks, _READ)
