"""A portrait that moves: the source image with its 468 face vertices moved to given places.

Three layers. Skin, hair and background: one triangle mesh over the moving part of the image, warped piecewise affinely
(inverse map by triangle, far triangles under near ones). Eyes: the eyeball keeps with the head while the lids close
over it. Mouth: teeth and cavity where the inner lips part.
"""

import cv2
import numpy as np

from chdtf.faces import INNER_LIPS, LEFT_EYE, RIGHT_EYE
from chdtf.schema import NUM_VERTICES
from chdtf.warp.eyes import Eye
from chdtf.warp.mesh import HeadMesh, halves, head_motion
from chdtf.warp.mouth import Mouth, order_lips

_FOLD_PX = 4.0
_OPENINGS = (RIGHT_EYE, LEFT_EYE, INNER_LIPS)


class FaceWarp:
    """Draws one source face in other poses and expressions; all work that frames share is done here, once."""

    def __init__(self, image: np.ndarray, landmarks: np.ndarray) -> None:
        """`image`: uint8 (H, W, 3) RGB. `landmarks`: float32 (>= 468, 3), px of that image, as MediaPipe gives them.

        Raises `ValueError` when either has another shape or the landmarks are not finite.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise ValueError(f"image must be uint8 (H, W, 3), not {image.dtype} {image.shape}")
        face = _pixel_centres(landmarks)
        order_lips(face)
        self._image = np.ascontiguousarray(image)
        self._face = face
        self._mesh = HeadMesh(face, *image.shape[:2])
        self._eyes = tuple(Eye(self._image, face, contour) for contour in (RIGHT_EYE, LEFT_EYE))
        self._mouth = Mouth(self._image, face)

    def render(self, target: np.ndarray) -> np.ndarray:
        """The face with its vertices at `target`, float32 (468, 3) px: uint8 (H, W, 3) RGB.

        Raises `ValueError` for another shape or values that are not finite.
        """
        wanted = _untangled(_pixel_centres(target))
        motion = head_motion(self._face, wanted)
        moved = self._mesh.place(wanted, motion)
        source = self._mesh.source.copy()
        for eye in self._eyes:
            eye.lift(source, wanted)
        self._mouth.lift(source, wanted)
        maps = self._mesh.inverse_map(source, moved)
        box = self._mesh.box
        frame = self._image.copy()
        drawn = cv2.remap(self._image, *maps, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
        box.of(frame)[:] = _soften_folds(drawn, *maps)
        for eye in self._eyes:
            eye.cover(frame, maps, box, wanted)
            eye.draw(frame, wanted, motion)
        self._mouth.draw(frame, wanted, motion)
        return frame


def _pixel_centres(landmarks: np.ndarray) -> np.ndarray:
    """(>= 468, 3) px -> float64 (468, 3) where pixel k has its centre at k (landmarks have it at k + 1/2)."""
    points = np.asarray(landmarks, np.float64)
    if points.ndim != 2 or len(points) < NUM_VERTICES or points.shape[1] != 3 or not np.isfinite(points).all():
        raise ValueError(f"landmarks must be finite and (>= {NUM_VERTICES}, 3), not {points.shape}")
    return points[:NUM_VERTICES] - (0.5, 0.5, 0.0)


def _soften_folds(image: np.ndarray, map_x: np.ndarray, map_y: np.ndarray) -> np.ndarray:
    """Smooth the edges of what hides something behind it, where the source jumps from pixel to pixel."""
    jump = np.zeros(map_x.shape, np.uint8)
    for field in (map_x, map_y):
        jump[:, 1:] |= np.abs(field[:, 1:] - field[:, :-1]) > _FOLD_PX
        jump[1:] |= np.abs(field[1:] - field[:-1]) > _FOLD_PX
    if not jump.any():
        return image
    share = cv2.GaussianBlur(cv2.dilate(jump, np.ones((2, 2), np.uint8), anchor=(1, 1)) * np.float32(255), (0, 0), 0.7)
    share = np.minimum(share[..., None] / 160, 1)
    soft = cv2.GaussianBlur(image, (0, 0), 0.8)
    mixed: np.ndarray = np.rint(image + (soft.astype(np.float32) - image) * share).astype(np.uint8)
    return mixed


def _untangled(face: np.ndarray) -> np.ndarray:
    """Lips and lids that have passed through each other meet half way."""
    face = face.copy()
    down = face[152, :2] - face[10, :2]
    for contour in _OPENINGS:
        upper, lower = halves(contour)
        crossed = (face[lower, :2] - face[upper, :2]) @ down < 0
        middle = (face[upper[crossed]] + face[lower[crossed]]) / 2
        face[upper[crossed]] = middle
        face[lower[crossed]] = middle
    order_lips(face)
    return face
