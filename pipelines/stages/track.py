"""Track: finds the one face of a clip, and the square that frames it from the first frame to the last.

The source is decoded once, small, and looked at a few times a second. Detections are linked into tracks by place and
size; the track that holds most face is the clip's speaker, and everything is judged against it.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from chdtf.columns import Row
from chdtf.errors import Reject
from chdtf.media import frames
from chdtf.shards import Workspace

Face = tuple[int, np.ndarray]  # number of the sampled frame; x0, y0, x1, y1, score


def _height(box: np.ndarray) -> float:
    return float(box[3] - box[1])


def _belongs(box: np.ndarray, last: np.ndarray, reach: float) -> bool:
    size = _height(last)
    away = math.hypot(*((box[:2] + box[2:4]) / 2 - (last[:2] + last[2:4]) / 2))
    return away < reach * size and 0.5 < _height(box) / size < 2.0


def link(detections: Sequence[np.ndarray], reach: float = 1.0, max_gap: int = 5) -> list[list[Face]]:
    """Link detections of successive frames into tracks, the one with the most face first.

    `detections` holds (N, 5) boxes in pixels for each sampled frame. A face continues a track whose last box is at
    most `max_gap` frames old, less than `reach` face heights away and of half to twice its size.
    """
    tracks: list[list[Face]] = []
    for number, found in enumerate(detections):
        taken: set[int] = set()
        for box in sorted(found, key=_height, reverse=True):
            near = [
                i
                for i, track in enumerate(tracks)
                if i not in taken and number - track[-1][0] <= max_gap and _belongs(box, track[-1][1], reach)
            ]
            best = max(near, key=lambda i: len(tracks[i]), default=None)
            if best is None:
                tracks.append([])
                best = len(tracks) - 1
            taken.add(best)
            tracks[best].append((number, box))
    return sorted(tracks, key=lambda track: -sum(_height(box) for _, box in track))


def frame_box(
    boxes: np.ndarray, width: int, height: int, face_in_crop: float = 0.55, above: float = 0.5
) -> tuple[int, int, int]:
    """Square that frames a face throughout a clip: (x0, y0, side) in whole pixels, within the frame.

    `boxes` are face boxes (N, 4 or 5) px, brows to chin. Around the space that they cover there is room of
    `1 / face_in_crop - 1` face heights in all: `above` face heights over the brows for forehead and hair, the rest
    below for chin and neck. So a head that keeps still fills `face_in_crop` of the crop with its centre a little below
    the middle, as in HDTF and in the first-order model's crops. A square that leaves the frame is shifted into it; one
    larger than the frame becomes the frame's short side, so that a source that is already a tight crop is used whole.
    """
    size = float(np.median(boxes[:, 3] - boxes[:, 1]))
    x0, y0 = np.quantile(boxes[:, :2], 0.02, axis=0)
    x1, y1 = np.quantile(boxes[:, 2:4], 0.98, axis=0)
    room = size * (1 / face_in_crop - 1)
    side = min(round(max(x1 - x0, y1 - y0) + room), width, height)
    middle = (y0 + y1) / 2 - (above * size - room / 2)
    left = min(max(round((x0 + x1) / 2 - side / 2), 0), width - side)
    top = min(max(round(middle - side / 2), 0), height - side)
    return left, top, side


def _outside_share(boxes: np.ndarray, left: int, top: int, side: int) -> float:
    """Share of face boxes of which more than a tenth of the height lies outside the square, on any one side."""
    beyond = np.stack([left - boxes[:, 0], top - boxes[:, 1], boxes[:, 2] - left - side, boxes[:, 3] - top - side])
    return float(np.mean(beyond.max(axis=0) > 0.1 * (boxes[:, 3] - boxes[:, 1])))


def crop_box(crop: Sequence[float], width: int, height: int) -> tuple[int, int, int]:
    """Square for a crop that the manifest gives as fractions: grown to a square about its centre, shifted inside.

    It is never made smaller: one larger than the frame's short side reaches beyond it, and is padded when cut out.
    """
    x0, y0, x1, y1 = crop[0] * width, crop[1] * height, crop[2] * width, crop[3] * height
    side = round(max(x1 - x0, y1 - y0))

    def place(low: float, high: float, limit: int) -> int:
        begin = round((low + high - side) / 2)
        return min(max(begin, 0), limit - side) if side <= limit else (limit - side) // 2

    return place(x0, x1, width), place(y0, y1, height), side


@dataclasses.dataclass(frozen=True)
class Detectors:
    """Both of MediaPipe's face detectors: full range for small faces, short range for those that fill the frame."""

    full_range: Any
    short_range: Any

    def detect(self, image: np.ndarray) -> np.ndarray:
        """Faces of uint8 (H, W, 3) RGB: float32 (N, 5), boxes in its pixels and scores.

        The full-range detector misses turned faces in tight crops; only where it sees nothing is the other asked.
        """
        found = self.full_range.detect(image)
        if not len(found):
            found = self.short_range.detect(image)
        height, width = image.shape[:2]
        scaled: np.ndarray = found * np.array([width, height, width, height, 1], np.float32)
        return scaled


@dataclasses.dataclass(frozen=True)
class Stage:
    """Decides whether a clip shows one face throughout, large enough, and frames it.

    Rejects: `no_frames`, `no_face`, `several_faces`, `face_lost`, `face_too_small`, `face_moves`.
    """

    name: ClassVar[str] = "track"
    version: ClassVar[int] = 1
    adds: ClassVar[pa.Schema] = pa.schema(
        [
            ("box", pa.list_(pa.float64())),  # x0, y0, x1, y1, fractions of the source frame
            ("box_px", pa.int32()),  # side in source pixels
            ("face_share", pa.float64()),  # of sampled frames that show any face
            ("main_face_share", pa.float64()),  # of sampled frames that show the face that is framed
            ("several_faces_share", pa.float64()),  # of sampled frames with another face of comparable size
            ("source_face_px", pa.float64()),  # median height of the framed face, brows to chin, in source pixels
            ("smallest_face_share", pa.float64()),  # 5th percentile of its height over the crop's side
            ("cut_off_share", pa.float64()),  # of frames in which a tenth of it lies outside the crop
        ]
    )

    sample_fps: float = 5.0
    longest_side_px: int = 640
    comparable: float = 0.5  # another face counts from this share of the main face's height
    min_face_share: float = 0.1  # below: no face
    max_several_share: float = 0.2
    min_main_share: float = 0.8  # below: lost
    min_face_px: float = 96.0  # in source pixels; 96 px give a crop of 175 px
    face_in_crop: float = 0.55
    min_face_in_crop: float = 0.32  # below: it moves, or the camera does, more than one crop can follow
    max_outside_share: float = 0.1

    def load(self) -> Detectors:
        """Start both detectors."""
        from chdtf.faces import FaceDetector

        return Detectors(FaceDetector(full_range=True), FaceDetector(full_range=False))

    def apply(self, row: Row, model: Detectors, workspace: Workspace) -> list[Row]:
        """Return the row with its box and scores; with `reject` when a score is out of bounds."""
        detections: list[np.ndarray] = []
        shape = (0, 0)
        for image in frames(
            workspace.resolve(row["source"]),
            self.sample_fps,
            row["clip_start_s"],
            row["clip_end_s"],
            self.longest_side_px,
        ):
            shape = (image.shape[0], image.shape[1])
            detections.append(model.detect(image))
        if not detections:
            raise Reject("no_frames", f"{row['clip_start_s']:g} to {row['clip_end_s']:g} s holds no video frame")
        width, height = _full_size(row, shape)
        if row["crop"] is not None:
            return [{**row, **_fractions(crop_box(row["crop"], width, height), width, height)}]
        scale = height / shape[0]
        found = [boxes * np.array([scale, scale, scale, scale, 1]) for boxes in detections]
        return [{**row, **self.judge(found, width, height)}]

    def judge(self, detections: Sequence[np.ndarray], width: int, height: int) -> Row:
        """Scores, box and, when a score is out of bounds, `reject`, from (N, 5) boxes in source pixels a frame."""
        count = len(detections)
        tracks = link(detections)
        face_share = sum(len(found) > 0 for found in detections) / count
        if face_share < self.min_face_share:
            return {"face_share": face_share, "reject": f"no_face: in {1 - face_share:.0%} of frames"}
        main = dict(tracks[0])
        boxes = np.stack(list(main.values()))
        size = float(np.median(boxes[:, 3] - boxes[:, 1]))
        several = sum(self._has_rival(found, main.get(i), size) for i, found in enumerate(detections)) / count
        left, top, side = frame_box(boxes, width, height, self.face_in_crop)
        smallest = float(np.quantile(boxes[:, 3] - boxes[:, 1], 0.05)) / side
        outside = _outside_share(boxes, left, top, side)
        scores: Row = {
            "face_share": face_share,
            "main_face_share": len(main) / count,
            "several_faces_share": several,
            "source_face_px": size,
            "smallest_face_share": smallest,
            "cut_off_share": outside,
        }
        reject = None
        if several > self.max_several_share:
            reject = f"several_faces: in {several:.0%} of frames"
        elif size < self.min_face_px:
            reject = f"face_too_small: {size:.0f} px, at least {self.min_face_px:g}"
        elif len(main) / count < self.min_main_share:
            reject = f"face_lost: one face stays for {len(main) / count:.0%} of frames only"
        elif smallest < self.min_face_in_crop or outside > self.max_outside_share:
            reject = (
                f"face_moves: in the one crop that covers its way it shrinks to {smallest:.0%} of the side, and is "
                f"cut off in {outside:.0%} of frames"
            )
        return {**scores, **_fractions((left, top, side), width, height), "reject": reject}

    def _has_rival(self, found: np.ndarray, main: np.ndarray | None, size: float) -> bool:
        limit = self.comparable * (size if main is None else _height(main))
        return sum(_height(box) >= limit for box in found) > 1


def _full_size(row: Row, shape: tuple[int, int]) -> tuple[int, int]:
    """(width, height) of the source as shown: the container's, turned when the frames are."""
    width, height = row["source_width"], row["source_height"]
    return (height, width) if (width > height) != (shape[1] > shape[0]) and width != height else (width, height)


def _fractions(square: tuple[int, int, int], width: int, height: int) -> Row:
    left, top, side = square
    box = np.array([left / width, top / height, (left + side) / width, (top + side) / height])
    return {"box": box, "box_px": side}
