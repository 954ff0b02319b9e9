"""`openface_csv`: head pose of every frame, as OpenFace's FeatureExtraction writes it with `-pose`.

Columns, with the blank that OpenFace puts before all names but the first: frame (from 1), face_id, timestamp (s),
confidence, success, pose_Tx, pose_Ty, pose_Tz (mm), pose_Rx, pose_Ry, pose_Rz (rad); axes in
`head_pose.openface_poses`. AVCT reads the six of the first row, for the first frame.
"""

import dataclasses
from pathlib import Path

import numpy as np

from baselines.inputs import Input
from baselines.inputs.head_pose import openface_poses
from baselines.inputs.source import Source
from chdtf.schema import FPS

COLUMNS = (
    *("frame", "face_id", "timestamp", "confidence", "success"),
    *("pose_Tx", "pose_Ty", "pose_Tz", "pose_Rx", "pose_Ry", "pose_Rz"),
)


@dataclasses.dataclass(frozen=True)
class Derive(Input):
    """A row for each of the clip's T frames; where no face was found the nearest pose in time, with success 0."""

    version = 1  # without an annotation: no option

    @property
    def suffix(self) -> str:
        """.csv."""
        return ".csv"

    def derive(self, source: Source, out: Path) -> None:
        """Write the table. Raises `Unavailable` (`no_face`) when no frame shows a face."""
        seen = source.seen()
        known = np.flatnonzero(seen)
        nearest = np.abs(np.arange(len(seen))[:, None] - known).argmin(axis=1)
        poses = openface_poses(source.landmarks[known])[nearest]
        lines = [", ".join(COLUMNS)]
        for number, (pose, is_seen) in enumerate(zip(poses, seen, strict=True)):
            place = ", ".join(f"{value:.3f}" for value in pose[:3])
            turn = ", ".join(f"{value:.6f}" for value in pose[3:])
            lines.append(f"{number + 1}, 0, {number / FPS:.3f}, {float(is_seen):.2f}, {int(is_seen)}, {place}, {turn}")
        out.write_text("\n".join(lines) + "\n", encoding="utf-8")
