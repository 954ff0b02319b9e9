"""Track: of the faces that were detected in a clip, the one that is framed, the square that frames it, and scores.

A pure function of the detections that `cut` stored: they are linked into tracks by place and size, the track that holds
most face is the clip's speaker, and everything is judged against it. Nothing is decoded.
"""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import ClassVar

import numpy as np
import pyarrow as pa

from chdtf.columns import Row
from chdtf.engine.shards import Workspace
from chdtf.errors import Reject
from pipelines.clips.framing import (
    Framing,
    crop_box,
    cut_off_share,
    fractions_of,
    height_of,
    iou,
    link,
    smooth,
)


@dataclasses.dataclass(frozen=True)
class Stage:
    """Finds a clip's main face and frames it. Scores are stored; only what no landmarks can be found in is refused.

    A crop that the manifest gives wins: it becomes the box, and nothing is scored.
    Rejects: `no_frames`, `no_face`, `face_tiny`.
    """

    name: ClassVar[str] = "track"
    version: ClassVar[int] = 2
    timeout_s: ClassVar[float] = 60.0
    adds: ClassVar[pa.Schema] = pa.schema(
        [
            ("box", pa.list_(pa.float64())),  # x0, y0, x1, y1, fractions of the shown frame; a square in px
            ("box_px", pa.int32()),  # side in source pixels
            ("face_share", pa.float64()),  # of sampled frames that show any face
            ("main_face_share", pa.float64()),  # of sampled frames that show the face that is framed
            ("several_faces_share", pa.float64()),  # of sampled frames with another face of comparable size
            ("source_face_px", pa.float64()),  # median height of the framed face, brows to chin, in source pixels
            ("smallest_face_share", pa.float64()),  # 5th percentile of its height over the crop's side
            ("cut_off_share", pa.float64()),  # of frames in which a tenth of it lies outside the crop
            ("min_box_iou", pa.float64()),  # smallest overlap (IoU) of its head box with its first one
        ]
    )

    comparable: float = 0.5  # another face counts from this share of the main face's height
    min_face_share: float = 0.1  # of sampled frames; below: no face
    min_face_px: float = 32.0  # in source pixels; below, landmarks are guesses
    smooth_frames: int = 5  # boxes are medians over this many samples
    framing: Framing = dataclasses.field(default_factory=Framing)

    def load(self) -> None:
        """Nothing to load."""

    def apply(self, row: Row, model: None, workspace: Workspace) -> Iterable[Row]:
        """Return the row with its box and scores. Raises `Reject` (`no_frames`)."""
        width, height = row["shown_width"], row["shown_height"]
        if width is None or height is None:
            raise Reject("no_frames", f"{row['clip_start_s']:g} to {row['clip_end_s']:g} s holds no video frame")
        if row["crop"] is not None and row.get("is_exact"):
            box = np.asarray(row["crop"], np.float64)
            return [{**row, "box": box, "box_px": round((box[2] - box[0]) * width)}]
        if row["crop"] is not None:
            square = crop_box(row["crop"], width, height)
            return [{**row, "box": fractions_of(square, width, height), "box_px": square[2]}]
        found = samples(row["detections"], width, height)
        return [{**row, **self.judge(found, row["sampled_frames"] or 0, width, height)}]

    def judge(self, found: Sequence[tuple[float, np.ndarray]], sampled: int, width: int, height: int) -> Row:
        """Box, scores and perhaps `reject`, from (time_s, (N, 5) boxes in px) of frames with faces, of `sampled`."""
        face_share = len(found) / max(sampled, 1)
        if face_share < self.min_face_share or not found:
            return {"face_share": face_share, "reject": f"no_face: in {1 - face_share:.0%} of frames"}
        tracks = link(found)
        main = dict(tracks[0])
        boxes = smooth(np.stack(list(main.values())), self.smooth_frames)
        size = float(np.median(boxes[:, 3] - boxes[:, 1]))
        several = sum(self._has_rival(faces, main.get(time_s), size) for time_s, faces in found)
        square = self.framing.crop(boxes, width, height)
        heads = self.framing.heads(boxes)
        scores: Row = {
            "face_share": face_share,
            "main_face_share": len(main) / sampled,
            "several_faces_share": several / sampled,
            "source_face_px": size,
            "smallest_face_share": float(np.quantile(boxes[:, 3] - boxes[:, 1], 0.05)) / square[2],
            "cut_off_share": cut_off_share(boxes, square),
            "min_box_iou": float(iou(heads, heads[0]).min()),
        }
        reject = f"face_tiny: {size:.0f} px, at least {self.min_face_px:g}" if size < self.min_face_px else None
        return {**scores, "box": fractions_of(square, width, height), "box_px": square[2], "reject": reject}

    def _has_rival(self, faces: np.ndarray, main: np.ndarray | None, size: float) -> bool:
        limit = self.comparable * (size if main is None else height_of(main))
        return sum(height_of(box) >= limit for box in faces) > 1


def samples(detections: np.ndarray | None, width: int, height: int) -> list[tuple[float, np.ndarray]]:
    """Detections (N, 6) by frame: (time_s, (M, 5) boxes in px and scores), in the order of time."""
    if detections is None or not len(detections):
        return []
    boxes = detections[:, 1:].astype(np.float64) * np.array([width, height, width, height, 1])
    times, first = np.unique(detections[:, 0], return_index=True)
    return [(float(time_s), part) for time_s, part in zip(times, np.split(boxes, first[1:]), strict=True)]
