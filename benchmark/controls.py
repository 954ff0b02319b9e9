"""Controls: made from the ground truth, scored like any method, to show what each metric sees and what it does not."""

from pathlib import Path

import numpy as np

from chdtf import media
from chdtf.files import atomic_path
from chdtf.schema import SAMPLES_PER_FRAME

SHIFT_FRAMES = 25  # beyond the 15 frames over which LSE-C forgives a delay
SHIFTED_AUDIO = "gt_audio_shifted"
STILL_IMAGE = "still_image"


def write_shifted_audio(source: Path, target: Path, shift_frames: int = SHIFT_FRAMES) -> Path:
    """Copy the sound of `source` to a 16 kHz WAV file, later by `shift_frames` frames; its end comes first.

    Scored with the ground truth's own video: whatever does not hear gives the ground truth's value. Keeps a target that
    is newer than its source. Raises `UnreadableError`.
    """
    if _is_newer(target, source):
        return target
    waveform = media.read_waveform(source)
    if waveform is None:
        raise media.UnreadableError(source, "no audio stream")
    late = np.roll(waveform, shift_frames * SAMPLES_PER_FRAME)
    with atomic_path(target) as temporary:
        temporary.write_bytes(media.encode_audio(late, codec="wav"))
    return target


def write_still_image(source: Path, target: Path) -> Path:
    """Write the first frame of `source` for as long as it lasts, with its sound. Keeps a target newer than its source.

    Raises `UnreadableError`.
    """
    if _is_newer(target, source):
        return target
    frames = media.read_frames(source)
    media.write_video(target, (frames[0] for _ in frames), media.read_waveform(source))
    return target


def _is_newer(target: Path, source: Path) -> bool:
    return target.exists() and target.stat().st_mtime_ns >= source.stat().st_mtime_ns
