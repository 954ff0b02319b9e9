"""Landmarks: MediaPipe's face mesh with irises, over the clip as it was encoded."""

import dataclasses
from typing import ClassVar

import numpy as np
import pyarrow as pa

from chdtf.columns import Row
from chdtf.engine.shards import Workspace
from chdtf.media import frames
from chdtf.schema import FPS, NUM_LANDMARKS, frames_of


@dataclasses.dataclass(frozen=True)
class Stage:
    """Tracks 478 landmarks over the 256x256 clip that is published, so that both belong together."""

    name: ClassVar[str] = "landmarks"
    version: ClassVar[int] = 1
    timeout_s: ClassVar[float] = 300.0  # for at most 30 s of clip
    adds: ClassVar[pa.Schema] = pa.schema(
        [
            ("landmarks", frames_of(NUM_LANDMARKS * 3)),  # (T, 478 * 3) px: x, y, z of each; NaN without a face
            ("face_found_share", pa.float64()),  # of frames in which the mesh found the face
        ]
    )

    def load(self) -> None:
        """Nothing to load: the mesh keeps state, so every clip gets its own."""

    def apply(self, row: Row, model: None, workspace: Workspace) -> list[Row]:
        """Return the row with its landmarks."""
        from chdtf.faces import track_landmarks

        found = track_landmarks(frames(workspace.resolve(row["video"]), FPS, threads=1))  # (T, 478, 3)
        share = float(np.mean(~np.isnan(found[:, 0, 0]))) if len(found) else 0.0
        return [{**row, "landmarks": found.reshape(len(found), -1), "face_found_share": share}]
