"""torch Dataset over published datasets: speech and motion of each clip, never its video.

The one module of this package that imports torch.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch.utils.data import Dataset

from chdtf.clip import face_model_of, read_clips
from chdtf.errors import UserError
from chdtf.morphable.head_motion import NUM_POSE, head_motion, mean_pose
from chdtf.schema import FPS, SAMPLES_PER_FRAME, SPLITS

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class MotionClip:
    """What a model of motion learns from: S = 640 T samples."""

    clip_id: str
    speaker_id: str
    language: str
    waveform: np.ndarray  # (S,) float32, mono, 16 kHz
    expression: np.ndarray  # (T, K) float32, in the face model's own scale
    pose: np.ndarray  # (T, 6) float32, head motion about the clip's mean pose (`chdtf.morphable.head_motion`)
    valid: np.ndarray  # (T,) bool

    def __post_init__(self) -> None:
        frames = len(self.valid)
        together = self.expression.shape[0] == frames and self.pose.shape == (frames, NUM_POSE)
        if not together or len(self.waveform) != frames * SAMPLES_PER_FRAME:
            raise ValueError(
                f"clip {self.clip_id}: {frames} valid flags, expression {self.expression.shape}, "
                f"pose {self.pose.shape}, {len(self.waveform)} samples "
                f"do not belong together (samples must be frames x {SAMPLES_PER_FRAME})"
            )

    @property
    def seconds(self) -> float:
        """Length of the clip."""
        return len(self.valid) / FPS


class MotionDataset(Dataset[MotionClip]):
    """Clips of one split of several published datasets; each is read when it is asked for.

    Raises `UserError` when there are none, or when they are not all fitted with the same face model.
    """

    def __init__(self, roots: Sequence[Path], split: str = "train") -> None:
        if split not in SPLITS:
            raise UserError(f"split {split!r} is not known; choose one of {', '.join(SPLITS)}")
        self._clips = [clip for root in roots for clip in read_clips(Path(root), split=split)]
        if not self._clips:
            where = ", ".join(str(root) for root in roots) or "no dataset"
            raise UserError(f"{where}: no clips in split {split!r}; build a dataset with: make chdtf")
        self.face_model, self.face_model_hash = face_model_of(self._clips)

    def __len__(self) -> int:
        return len(self._clips)

    def __getitem__(self, index: int) -> MotionClip:
        clip = self._clips[index]
        coefficients = clip.coefficients()
        return MotionClip(
            clip_id=clip.clip_id,
            speaker_id=clip.speaker_id,
            language=clip.language,
            waveform=clip.waveform(),
            expression=np.asarray(coefficients.expression, np.float32),
            pose=head_motion(coefficients, mean_pose(coefficients)),
            valid=np.asarray(coefficients.valid, bool),
        )
