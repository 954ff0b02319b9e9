"""Video-driven generation, the paper's "Ours-video": a video keeps its head motion, eyes and background, and gets new
lips.

Every output frame is drawn from the video's own frame: its vertices move by what the exchange of the lip dimensions
changes, which is the lower face alone. What the lips part to show comes from one frame of the video for all of them:
each frame's own interior would flicker between the teeth that it shows and those that it lacks.
"""

import functools
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from chdtf.faces import FACE_OVAL, INNER_LIPS, mouth_opening, tessellation
from chdtf.morphable.coefficients import Coefficients, landmarks_of
from chdtf.morphable.model import FaceModel
from chdtf.morphable.regions import region_weights
from chdtf.schema import NUM_VERTICES
from chdtf.warp.layers import Box, places
from chdtf.warp.mesh import halves, head_motion, opening_triangles, untangle
from chdtf.warp.mouth import Mouth, order_lips, shows_interior
from chdtf.warp.piecewise import inverse_map
from disenttalk_ref.generate.control import mean_face
from disenttalk_ref.generate.source import TrackedVideo
from disenttalk_ref.render.ahead import ahead

_STILL_PX = 0.05  # vertices that move less leave their pixels alone
_SKIRT = 1.45  # where what surrounds the face keeps still, in distances of the face's outline from its centre
_OPEN_QUANTILE = 0.9  # of the frames' mouth openings: how open the frame is that shows the interior
_TURNED = 0.15  # rad from the video's mean yaw, at most, of that frame


@dataclass(frozen=True, eq=False)
class DubbedVideo:
    """A tracked video whose lips can be exchanged. Made by `prepare_dubbing`."""

    video: TrackedVideo
    source: Coefficients  # T frames
    model: FaceModel
    mouth: Mouth  # of the frame that shows the interior
    mouth_vertices: np.ndarray  # (468, 3) of that frame, pixel centres
    lower_face: np.ndarray  # (468,) bool, vertices that lips can move
    threads: int = 2  # that draw frames; frames are the same with any number

    def frames(self, driving: Coefficients) -> Iterator[np.ndarray]:
        """The video with the expression of `driving`, which has as many frames as are wanted: uint8 (256, 256, 3).

        `driving` is the video's own coefficients, played forward and backward, with other lip dimensions.
        Frames of the video in which no face was found are shown as they are.
        """
        shown = self.video.frames(driving.num_frames)
        return ahead(lambda item: self._shown(driving, *item), enumerate(shown), self.threads)

    def _shown(self, driving: Coefficients, k: int, of_video: tuple[int, np.ndarray]) -> np.ndarray:
        """Frame k of the result, from a frame of the video and its number."""
        number, image = of_video
        if not self.source.valid[number]:
            return image
        own = _frame(self.source, number)
        moved = own.replace(expression=driving.expression[k : k + 1])
        change = landmarks_of(moved, self.model)[0] - landmarks_of(own, self.model)[0]
        return self._dub(image, self.video.landmarks[number], change * self.lower_face[:, None])

    def _dub(self, image: np.ndarray, landmarks: np.ndarray, change: np.ndarray) -> np.ndarray:
        """One frame with its vertices (468, 3) px moved by `change`."""
        face = landmarks.astype(np.float64) - (0.5, 0.5, 0.0)
        wanted = face + change
        for points in (face, wanted):
            order_lips(points)
        untangle(wanted, (INNER_LIPS,))
        frame = warp_lower_face(image, lift_lips(face, wanted), wanted)
        self.mouth.draw(frame, wanted, head_motion(self.mouth_vertices, wanted))
        return frame


def prepare_dubbing(video: TrackedVideo, coefficients: Coefficients, model: FaceModel) -> DubbedVideo:
    """Choose the frame that shows the mouth's interior: nearly the most open one, seen as the video mostly is."""
    seen = np.flatnonzero(coefficients.valid)
    opening = mouth_opening(video.landmarks[seen])
    yaw = coefficients.rotation[seen, 1]
    apart = np.abs(opening - np.quantile(opening, _OPEN_QUANTILE)) + (np.abs(yaw - np.median(yaw)) > _TURNED)
    number = int(seen[np.argmin(apart)])
    image = _frame_at(video, number)
    vertices = video.landmarks[number].astype(np.float64) - (0.5, 0.5, 0.0)
    order_lips(vertices)
    lower_face = region_weights(mean_face(model))[0] > 0
    return DubbedVideo(video, coefficients, model, Mouth(image, vertices), vertices, lower_face)


def _frame_at(video: TrackedVideo, number: int) -> np.ndarray:
    ((_, image),) = video.forward(np.array([number]))
    return image


def _frame(coefficients: Coefficients, number: int) -> Coefficients:
    one = slice(number, number + 1)
    names = ("expression", "rotation", "translation", "scale", "valid")
    return coefficients.replace(**{name: getattr(coefficients, name)[one] for name in names})


def lift_lips(face: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The vertices `face` with the lips' inner borders drawn back from the teeth as far as an open mouth closes.

    Else a tracker's error of a pixel leaves a row of teeth between closed lips. (468, 3) -> (468, 3).
    """
    source = face.copy()
    upper, lower = (half[1:-1] for half in halves(INNER_LIPS))
    unit = float(np.linalg.norm(face[263, :2] - face[33, :2]))
    between = face[lower, :2] - face[upper, :2]
    gap = np.linalg.norm(between, axis=1)
    left = np.linalg.norm(wanted[lower, :2] - wanted[upper, :2], axis=1)
    most = shows_interior(float(gap.max()) / unit) * (0.011 * unit + 0.9)
    shut = np.clip(1 - left / np.maximum(gap, 1e-6), 0, 1) * most
    out = between / np.maximum(gap, 1e-6)[:, None] * shut[:, None]
    source[upper, :2] -= out
    source[lower, :2] += out
    return source


def warp_lower_face(image: np.ndarray, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Move what lies at the vertices `source` to `target`, (468, 3) pixel centres each; a new uint8 (H, W, 3).

    Beyond the face's outline motion fades to nothing; pixels that no moving triangle reaches are the image's own.
    """
    start, end = _with_skirt(source, source), _with_skirt(source, target)
    faces = _triangles()
    moving = np.abs(end - start).max(1) > _STILL_PX
    faces = faces[moving[faces].any(1)]
    frame = image.copy()
    if not len(faces):
        return frame
    box = Box.around(end[faces.ravel()], 1, *image.shape[:2])
    maps = places(inverse_map(start, end, faces, box))
    box.of(frame)[:] = cv2.remap(image, maps, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return frame


def _with_skirt(source: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Vertices (468, 2), and around them the outline of `source` moved outwards, which keeps still: (504, 2)."""
    outline = source[list(FACE_OVAL), :2]
    centre = outline.mean(0)
    return np.vstack([points[:, :2], centre + _SKIRT * (outline - centre)])


@functools.lru_cache(maxsize=1)
def _triangles() -> np.ndarray:
    """Triangles (F, 3): the skirt, the mouth's opening, the skin; later ones lie on top."""
    count = len(FACE_OVAL)
    inner, outer = np.array(FACE_OVAL), NUM_VERTICES + np.arange(count)
    turn = np.roll(np.arange(count), -1)
    skirt = np.vstack(
        [np.column_stack([inner, inner[turn], outer]), np.column_stack([inner[turn], outer[turn], outer])]
    )
    return np.vstack([skirt, opening_triangles(INNER_LIPS), tessellation()])
