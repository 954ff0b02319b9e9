"""Quality: scores of a finished clip, and the thresholds that refuse one. Scores are stored either way."""

import dataclasses
from typing import ClassVar

import numpy as np
import pyarrow as pa

from chdtf.columns import Row
from chdtf.media import read_waveform
from chdtf.schema import NUM_LANDMARKS, SAMPLE_RATE_HZ
from chdtf.shards import Workspace

VAD_FRAME = SAMPLE_RATE_HZ * 30 // 1000  # 480 samples: 30 ms, the longest that WebRTC's detector takes
FOREHEAD, CHIN, RIGHT_EAR, LEFT_EAR = 10, 152, 234, 454  # mesh vertices; right and left are the subject's
SILENCE_DBFS = -120.0  # stands for digital silence, whose level has no logarithm


def loudness_dbfs(waveform: np.ndarray) -> float:
    """Root mean square of (S,) in [-1, 1], in dB relative to full scale; not below -120."""
    power = float(np.mean(np.square(waveform, dtype=np.float64))) if len(waveform) else 0.0
    return max(SILENCE_DBFS, 10 * float(np.log10(max(power, 1e-30))))


def speech_share(waveform: np.ndarray, mode: int = 2) -> float:
    """Share of 30 ms frames that WebRTC's voice activity detector calls speech; waveform (S,) at 16 kHz.

    The detector takes loud music for speech; it tells voices from silence and steady noise.
    """
    import webrtcvad

    detector = webrtcvad.Vad(mode)
    pcm = (np.clip(waveform, -1, 1) * 32767).astype(np.int16)
    count = len(pcm) // VAD_FRAME
    blocks = pcm[: count * VAD_FRAME].reshape(count, VAD_FRAME)
    voiced = [bool(detector.is_speech(block.tobytes(), SAMPLE_RATE_HZ)) for block in blocks]
    return sum(voiced) / max(count, 1)


def yaw_deg(landmarks: np.ndarray) -> np.ndarray:
    """Rough turn of the head, (T, 478, 3) px -> (T,) degrees: slope in depth of the line between the ears.

    0 when facing the camera, positive when the subject turns to its left (towards the right of the picture). Good to
    some 10 degrees, because the mesh's depth is a guess.
    """
    across = landmarks[:, LEFT_EAR] - landmarks[:, RIGHT_EAR]
    angle: np.ndarray = np.degrees(np.arctan2(across[:, 2], across[:, 0]))
    return angle


@dataclasses.dataclass(frozen=True)
class Stage:
    """Scores sound, face and pose.

    Rejects: `face_lost`, `silence`, `no_speech`, `face_too_small`, `profile`, `dark`.
    """

    name: ClassVar[str] = "quality"
    version: ClassVar[int] = 1
    adds: ClassVar[pa.Schema] = pa.schema(
        [
            ("speech_share", pa.float64()),  # of 30 ms frames
            ("loudness_dbfs", pa.float64()),
            ("face_size_px", pa.float64()),  # median distance of forehead (10) and chin (152) in the 256 px clip
            ("yaw_median_deg", pa.float64()),  # median of the absolute yaw
            ("yaw_max_deg", pa.float64()),  # 95th percentile of the absolute yaw
        ]
    )

    vad_mode: int = 2
    min_speech_share: float = 0.2
    min_loudness_dbfs: float = -60.0
    min_face_found_share: float = 0.9
    min_face_size_px: float = 50.0
    max_yaw_median_deg: float = 60.0
    min_mean_luma: float = 12.0

    def load(self) -> None:
        """Nothing to load."""

    def apply(self, row: Row, model: None, workspace: Workspace) -> list[Row]:
        """Return the row with its scores; with `reject` when one is out of bounds."""
        waveform = read_waveform(workspace.resolve(row["audio"]))
        assert waveform is not None
        points = row["landmarks"].reshape(-1, NUM_LANDMARKS, 3)
        points = points[~np.isnan(points[:, 0, 0])]
        tall = np.linalg.norm(points[:, CHIN, :2] - points[:, FOREHEAD, :2], axis=-1)
        turned = np.abs(yaw_deg(points))
        scores: Row = {
            "speech_share": speech_share(waveform, self.vad_mode),
            "loudness_dbfs": loudness_dbfs(waveform),
            "face_size_px": float(np.median(tall)) if len(points) else None,
            "yaw_median_deg": float(np.median(turned)) if len(points) else None,
            "yaw_max_deg": float(np.quantile(turned, 0.95)) if len(points) else None,
        }
        return [{**row, **scores, "reject": self.verdict({**row, **scores})}]

    def verdict(self, row: Row) -> str | None:
        """The first score of a row that is out of bounds, in words, or None."""
        found, size, yaw = row["face_found_share"], row["face_size_px"], row["yaw_median_deg"]
        loudness, speech, luma = row["loudness_dbfs"], row["speech_share"], row["mean_luma"]
        if found < self.min_face_found_share:
            return f"face_lost: landmarks in {found:.0%} of frames, at least {self.min_face_found_share:.0%}"
        faults = {
            f"silence: {loudness:.1f} dBFS, at least {self.min_loudness_dbfs:g}": loudness < self.min_loudness_dbfs,
            f"no_speech: speech in {speech:.0%} of the sound, at least {self.min_speech_share:.0%}": (
                speech < self.min_speech_share
            ),
            f"face_too_small: {size:.0f} px of the clip, at least {self.min_face_size_px:g}": (
                size < self.min_face_size_px
            ),
            f"profile: turned by {yaw:.0f} degrees, at most {self.max_yaw_median_deg:g}": yaw > self.max_yaw_median_deg,
            f"dark: mean brightness {luma:.0f} of 255, at least {self.min_mean_luma:g}": luma < self.min_mean_luma,
        }
        return next((words for words, is_fault in faults.items() if is_fault), None)
