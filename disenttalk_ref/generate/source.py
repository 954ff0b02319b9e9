"""Videos as sources: one face framed and followed at 25 fps, whatever the video's own rate, fitted with the face model.

A video gives eyes (`eye_motion`), head pose (`pose_motion`), or all but the lips (`disenttalk_ref.generate.dubbing`).
It is decoded again where its frames are needed: of each frame 6 KB of landmarks stay in memory.
"""

import itertools
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from chdtf.errors import Reject, UserError
from chdtf.faces import track_landmarks
from chdtf.media import frames, probe
from chdtf.morphable.coefficients import Coefficients
from chdtf.morphable.fitting import fit_clip, usable
from chdtf.morphable.head_motion import head_motion, mean_pose
from chdtf.morphable.model import FaceModel
from chdtf.schema import FPS, NUM_VERTICES
from disenttalk_ref.generate.control import about_neutral, ease_in, fill_gaps, forward_and_backward
from disenttalk_ref.generate.framing import Detectors, Square, check_side, cut, face_square

_LOOK_EVERY = 5  # frames between looks for the face
_LOOK_PX = 640  # longest side of the frames in which it is looked for
_REACH = 1.0  # the same face is at most so many face heights from where it was
_PIECE_FRAMES = 100  # of a video that are decoded at a time, where it plays backward: 20 MB
_LEAST_SHARE = 0.8  # of frames with a face, below which it is told

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class TrackedVideo:
    """A face in a video, cut out and followed."""

    path: Path
    square: Square  # the part that is shown, px of the video's frames
    landmarks: np.ndarray  # (T, 468, 3) float32, px of the 256 px frame; NaN where no face was found
    seen: np.ndarray  # (T,) bool, frames with a face

    @property
    def num_frames(self) -> int:
        """T, at 25 fps."""
        return len(self.landmarks)

    def frames(self, num_frames: int) -> Iterator[tuple[int, np.ndarray]]:
        """Frame numbers and 256x256 frames, forward and backward until there are `num_frames`."""
        order = forward_and_backward(self.num_frames, num_frames)
        first = 0
        while first < num_frames:
            turns = np.flatnonzero(np.diff(order[first:], 2)) if self.num_frames > 1 else np.zeros(0, int)
            last = first + int(turns[0]) + 2 if len(turns) else num_frames
            run = order[first:last]
            yield from self.forward(run) if len(run) < 2 or run[0] < run[1] else self._backward(run)
            first = last

    def forward(self, run: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """Frame numbers and 256x256 frames of a run of ascending numbers without a gap."""
        shown = frames(self.path, start_s=int(run[0]) / FPS)
        for number, image in zip(run, itertools.islice(shown, len(run)), strict=False):
            yield int(number), cut(image, self.square)

    def _backward(self, run: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        for begin in range(0, len(run), _PIECE_FRAMES):
            piece = run[begin : begin + _PIECE_FRAMES][::-1]
            yield from reversed(list(self.forward(piece)))


def track_video(path: Path, max_frames: int, crop: str = "auto") -> TrackedVideo:
    """Follow the largest face of a video over its first `max_frames` frames at 25 fps.

    The face is looked for in every fifth frame; one square (`framing.face_square`) holds all of its places, and in
    that square it is tracked frame by frame. Of several faces the tallest is followed, which is logged.

    Raises:
        UserError: if the file is missing, no video, or shows no face.

    """
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        info = probe(path)
        square = _find_square(path, max_frames, crop)
        check_side(square[2], path.name)
        landmarks = track_landmarks(cut(image, square) for image in itertools.islice(frames(path), max_frames))
    except Reject as error:
        raise UserError(f"{path}: {error.detail or error}; give a video that plays") from error
    seen = usable(landmarks)
    if not seen.any():
        raise UserError(
            f"{path}: no face could be followed in {len(landmarks)} frames of {info.width}x{info.height} px"
        )
    if seen.mean() < _LEAST_SHARE:
        log.warning("%s: only %d of %d frames show a face", path.name, int(seen.sum()), len(seen))
    return TrackedVideo(path, square, landmarks[:, :NUM_VERTICES], seen)


def _find_square(path: Path, max_frames: int, crop: str) -> Square:
    info = probe(path)
    first = next(frames(path), None)
    if first is None:
        raise UserError(f"{path}: a video without a frame")
    height, width = first.shape[:2]
    if crop == "whole":
        return face_square(np.zeros((0, 4)), width, height, crop)
    detectors = Detectors.load()
    given = itertools.islice(frames(path, longest_side_px=_LOOK_PX), max_frames)
    found = [detectors.find(image) * (width / image.shape[1]) for k, image in enumerate(given) if k % _LOOK_EVERY == 0]
    boxes = follow([faces for faces in found if len(faces)])
    if not len(boxes):
        raise UserError(f"{path}: no face found in {len(found)} frames of {info.width}x{info.height} px")
    if any(len(faces) > 1 for faces in found):
        log.warning("%s: shows up to %d faces; the largest is followed", path.name, max(len(faces) for faces in found))
    return face_square(boxes, width, height, crop)


def follow(found: list[np.ndarray]) -> np.ndarray:
    """The boxes (n, 4) of one face: of the tallest in all frames, and of what is nearest to it before and after.

    `found`: boxes (N, 4) px of each frame that has any. A frame whose nearest face is more than a face height away
    adds none.
    """
    if not found:
        return np.zeros((0, 4), np.float32)
    start = max(range(len(found)), key=lambda k: float((found[k][:, 3] - found[k][:, 1]).max()))
    seed = found[start][np.argmax(found[start][:, 3] - found[start][:, 1])]
    chosen = [seed]
    for way in (found[start + 1 :], found[:start][::-1]):
        last = seed
        for boxes in way:
            away = np.linalg.norm((boxes[:, :2] + boxes[:, 2:] - last[:2] - last[2:]) / 2, axis=1)
            nearest = int(np.argmin(away))
            if away[nearest] <= _REACH * (last[3] - last[1]):
                last = boxes[nearest]
                chosen.append(last)
    return np.stack(chosen)


def fit_video(video: TrackedVideo, model: FaceModel) -> Coefficients:
    """Coefficients of a tracked video: one identity, expression and pose for each frame in which it was seen."""
    return fit_clip(video.landmarks, model)


def eye_motion(coefficients: Coefficients) -> np.ndarray:
    """Expressions about the video's own neutral face, float32 (T, N); frames without a face are interpolated."""
    return about_neutral(coefficients.expression, coefficients.valid)


def pose_motion(coefficients: Coefficients) -> np.ndarray:
    """Head motion about the video's mean pose that starts at zero, float32 (T, 6); gaps are interpolated."""
    motion = head_motion(coefficients, mean_pose(coefficients))
    return ease_in(fill_gaps(motion, coefficients.valid))
