"""A portrait that moves: the source image with its 468 face vertices moved to given places.

Three layers. Skin, hair and background: one triangle mesh over the moving part of the image, warped piecewise affinely
(inverse map by triangle, far triangles under near ones). Eyes: the eyeball keeps with the head while the lids close
over it. Mouth: teeth and cavity where the inner lips part.
"""

import numpy as np

from chdtf.faces import INNER_LIPS, LEFT_EYE, RIGHT_EYE
from chdtf.schema import NUM_VERTICES
from chdtf.warp.eyes import Eye
from chdtf.warp.mesh import HeadMesh, Motion, head_motion, untangle
from chdtf.warp.mouth import Mouth, order_lips
from chdtf.warp.texture import Background, Texture

__all__ = ["FaceWarp", "Motion"]

_OPENINGS = (RIGHT_EYE, LEFT_EYE, INNER_LIPS)


class FaceWarp:
    """Draws one source face in other poses and expressions; all work that frames share is done here, once.

    `render` changes nothing in it: threads may share one.
    """

    def __init__(self, image: np.ndarray, landmarks: np.ndarray, person: np.ndarray | None = None) -> None:
        """`image`: uint8 (H, W, 3) RGB. `landmarks`: float32 (>= 468, 3), px of that image, as MediaPipe gives them.

        `person`: uint8 (H, W), 255 where the image shows the person (`chdtf.warp.person.person_mask`). Background that
        the moving person does not touch then keeps still; without it, it moves along near the head.
        Raises `ValueError` when one has another shape or the landmarks are not finite.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise ValueError(f"image must be uint8 (H, W, 3), not {image.dtype} {image.shape}")
        face = _pixel_centres(landmarks)
        order_lips(face)
        self._image = np.ascontiguousarray(image)
        self._face = face
        self._background = None if person is None else Background(self._image, person)
        surely = None if self._background is None else self._background.surely
        self._mesh = HeadMesh(face, image.shape[0], image.shape[1], surely)
        self._texture = Texture(self._image, self._mesh.box)
        self._eyes = tuple(Eye(self._image, face, contour) for contour in (RIGHT_EYE, LEFT_EYE))
        self._mouth = Mouth(self._image, face)

    def render(self, target: np.ndarray, motion: Motion | None = None) -> np.ndarray:
        """The face with its vertices at `target`, float32 (468, 3) px: uint8 (H, W, 3) RGB.

        `motion`: of the head, from the source's pixels to the frame's; without it, it is estimated from the vertices.
        Raises `ValueError` for another shape or values that are not finite.
        """
        wanted = _pixel_centres(target)
        untangle(wanted, _OPENINGS)
        order_lips(wanted)
        motion = head_motion(self._face, wanted) if motion is None else motion.of_pixel_centres()
        moved = self._mesh.place(wanted, motion)
        source = self._mesh.source.copy()
        self._mesh.reveal(source, motion)
        shut = [eye.closure(wanted) for eye in self._eyes]
        for eye, closure in zip(self._eyes, shut, strict=True):
            eye.lift(source, closure)
        self._mouth.lift(source, wanted)
        maps, box = self._mesh.inverse_map(source, moved)
        frame = self._image.copy()
        drawn = self._texture.sample(maps)
        if self._background is not None:
            self._background.keep_still(drawn, maps, box)
        box.of(frame)[:] = drawn
        for eye, closure in zip(self._eyes, shut, strict=True):
            eye.cover(frame, maps, box, wanted, closure)
            eye.draw(frame, wanted, motion, closure)
        self._mouth.draw(frame, wanted, motion)
        return frame


def _pixel_centres(landmarks: np.ndarray) -> np.ndarray:
    """(>= 468, 3) px -> float64 (468, 3) where pixel k has its centre at k (landmarks have it at k + 1/2)."""
    points = np.asarray(landmarks, np.float64)
    if points.ndim != 2 or len(points) < NUM_VERTICES or points.shape[1] != 3 or not np.isfinite(points).all():
        raise ValueError(f"landmarks must be finite and (>= {NUM_VERTICES}, 3), not {points.shape}")
    return points[:NUM_VERTICES] - (0.5, 0.5, 0.0)
