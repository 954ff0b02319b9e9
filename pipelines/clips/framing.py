"""Boxes: which detections are one face, and the square that frames it throughout a clip.

A face box here is MediaPipe's: from the brows to the chin and about as wide as tall. Boxes are x0, y0, x1, y1.
"""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

Face = tuple[float, np.ndarray]  # time in the clip, s; one box (5,) or a frame's (N, 5): x0, y0, x1, y1, score
Square = tuple[int, int, int]  # x0, y0, side in px


def height_of(box: np.ndarray) -> float:
    """Height of a box, in its own unit."""
    return float(box[3] - box[1])


def iou(boxes: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes (N, 4 or 5) with one box (4 or 5,): (N,)."""
    low, high = np.maximum(boxes[:, :2], other[:2]), np.minimum(boxes[:, 2:4], other[2:4])
    shared = np.prod(np.maximum(high - low, 0.0), axis=1)
    areas = np.prod(boxes[:, 2:4] - boxes[:, :2], axis=1) + np.prod(other[2:4] - other[:2])
    ratio: np.ndarray = shared / np.maximum(areas - shared, 1e-12)
    return ratio


def _belongs(box: np.ndarray, last: np.ndarray, reach: float) -> bool:
    size = height_of(last)
    away = math.hypot(*((box[:2] + box[2:4]) / 2 - (last[:2] + last[2:4]) / 2))
    return away < reach * size and 0.5 < height_of(box) / size < 2.0


def link(found: Sequence[Face], reach: float = 1.0, max_gap_s: float = 1.0) -> list[list[Face]]:
    """Link the faces of successive frames into tracks, the one with the most face first.

    `found` holds (time_s, (N, 5) boxes in px) of each frame with faces; a track holds (time_s, (5,) box). A face
    continues a track whose last box is at most `max_gap_s` old, less than `reach` face heights away and of half to
    twice its size.
    """
    tracks: list[list[Face]] = []
    for time_s, faces in found:
        taken: set[int] = set()
        for box in sorted(faces, key=height_of, reverse=True):
            near = [
                i
                for i, track in enumerate(tracks)
                if i not in taken and time_s - track[-1][0] <= max_gap_s + 1e-3 and _belongs(box, track[-1][1], reach)
            ]
            best = max(near, key=lambda i: len(tracks[i]), default=None)
            if best is None:
                tracks.append([])
                best = len(tracks) - 1
            taken.add(best)
            tracks[best].append((time_s, box))
    return sorted(tracks, key=lambda track: -sum(height_of(box) for _, box in track))


def smooth(boxes: np.ndarray, window: int = 5) -> np.ndarray:
    """Running median over `window` boxes (odd), the ends repeated: (N, 4 or 5) -> (N, 4).

    A median, because one false box among five must not widen the crop of a whole clip.
    """
    half = window // 2
    padded = np.pad(boxes[:, :4], ((half, half), (0, 0)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, window, axis=0)  # (N, 4, window)
    middle: np.ndarray = np.median(windows, axis=-1)
    return middle


@dataclasses.dataclass(frozen=True)
class Framing:
    """How much of a head's surroundings a crop holds, after the first-order model's preprocessing.

    There (crop_vox.py and util.py of AliaksandrSiarohin/video-preprocessing) the crop is the union of the face's boxes
    over the clip, each side moved out by `increase_area` of the union, the shorter one further until it is a square.
    Those boxes hold the head from the hairline to below the chin; ours end at the brows, so each is first made a head
    box, by shares of the face box's height: `above`, `below`, and `beside` on either side. With these values a head
    that keeps still fills 55 % of the crop from brows to chin, its centre a little below the middle.

    Two differences: that code drops a clip whose crop leaves the frame, here it is shifted into it, or becomes as large
    as the frame allows, so that a source that is a tight crop already is used whole; and it begins a new clip where a
    box has an intersection over union below 0.25 with the first, here that share is a score (`min_box_iou`).
    """

    increase_area: float = 0.1
    above: float = 0.35
    below: float = 0.165
    beside: float = 0.1

    def heads(self, faces: np.ndarray) -> np.ndarray:
        """Head boxes (N, 4) of face boxes (N, 4 or 5)."""
        size = (faces[:, 3] - faces[:, 1])[:, None]
        grown: np.ndarray = faces[:, :4] + size * np.array([-self.beside, -self.above, self.beside, self.below])
        return grown

    def wanted(self, faces: np.ndarray) -> np.ndarray:
        """The square (4,) around all of some face boxes (N, 4 or 5) in px, wherever it lies."""
        heads = self.heads(faces)
        low, high = heads[:, :2].min(axis=0), heads[:, 2:].max(axis=0)
        side = (1 + 2 * self.increase_area) * float((high - low).max())
        middle = (low + high) / 2
        return np.concatenate([middle - side / 2, middle + side / 2])

    def crop(self, faces: np.ndarray, width: int, height: int) -> Square:
        """The square that frames a face throughout a clip, in whole pixels, within the frame.

        `faces` are its boxes (N, 4 or 5) px. A square that leaves the frame is shifted into it; one larger than the
        frame becomes the frame's short side.
        """
        x0, y0, x1, y1 = self.wanted(faces)
        side = min(round(x1 - x0), width, height)
        left = min(max(round((x0 + x1 - side) / 2), 0), width - side)
        top = min(max(round((y0 + y1 - side) / 2), 0), height - side)
        return left, top, side

    def region(self, face: np.ndarray, width: int, height: int, span: float) -> np.ndarray:
        """Where the crop of a clip will lie, guessed from its first face box (4 or 5,) px: (4,) fractions.

        `span` times the crop of a head that keeps still, about the same centre, clamped to the frame, on even pixels.
        """
        x0, y0, x1, y1 = self.wanted(face[None])
        half = span * (x1 - x0) / 2
        centre = np.array([x0 + x1, y0 + y1]) / 2
        return even_fractions((*(centre - half), *(centre + half)), width, height)


def even_fractions(box: Sequence[float], width: int, height: int) -> np.ndarray:
    """A box in px grown to even pixels and clamped to the frame, as fractions (4,) float64 of it."""
    limits = np.array([width, height, width, height])
    low = 2 * np.floor(np.array(box[:2]) / 2)
    high = 2 * np.ceil(np.array(box[2:]) / 2)
    fractions: np.ndarray = np.clip(np.concatenate([low, high]), 0, limits) / limits
    return fractions


def cut_off_share(faces: np.ndarray, square: Square) -> float:
    """Share of face boxes of which more than a tenth of the height lies outside the square, on any one side."""
    left, top, side = square
    beyond = np.stack([left - faces[:, 0], top - faces[:, 1], faces[:, 2] - left - side, faces[:, 3] - top - side])
    return float(np.mean(beyond.max(axis=0) > 0.1 * (faces[:, 3] - faces[:, 1])))


def crop_box(crop: Sequence[float], width: int, height: int) -> Square:
    """Square for a crop that the manifest gives as fractions: grown to a square about its centre, shifted inside.

    It is never made smaller: one larger than the frame's short side reaches beyond it, and is padded when cut out.
    """
    x0, y0, x1, y1 = crop[0] * width, crop[1] * height, crop[2] * width, crop[3] * height
    side = round(max(x1 - x0, y1 - y0))

    def place(low: float, high: float, limit: int) -> int:
        begin = round((low + high - side) / 2)
        return min(max(begin, 0), limit - side) if side <= limit else (limit - side) // 2

    return place(x0, x1, width), place(y0, y1, height), side


def fractions_of(square: Square, width: int, height: int) -> np.ndarray:
    """A square in px as a box (4,) float64 in fractions of the frame."""
    left, top, side = square
    return np.array([left / width, top / height, (left + side) / width, (top + side) / height])
