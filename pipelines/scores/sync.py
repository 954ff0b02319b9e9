"""Whether lips and sound are together, by SyncNet: the same computation as metric LSE-C, on the finished clip."""

from typing import Any

import numpy as np

from chdtf import syncnet
from chdtf.columns import Row
from pipelines.scores.footage import Footage

COLUMNS = ("av_offset_frames", "av_confidence")

VSHIFT = 15  # frames to either side that are searched


def av_sync(network: Any, crops: np.ndarray, waveform: np.ndarray) -> syncnet.SyncScore:
    """Offset in frames at 25 fps and confidence, of uint8 (T, 224, 224, 3) crops and (S,) sound.

    A positive offset says that the sound is early, as in joonson/syncnet_python. The confidence is some 5 to 10 for
    speech in sync and below 2 or 3 where the sound belongs to nobody in the picture. Raises `ValueError` for a clip too
    short to search.
    """
    windows = syncnet.num_windows(len(crops), len(waveform))
    if windows <= VSHIFT:
        raise ValueError(f"too_short: {windows} windows, more than {VSHIFT} needed")
    lips, sounds = syncnet.embed(network, crops, waveform)
    return syncnet.score(syncnet.shifted_distances(lips, sounds, VSHIFT))


def scores(network: Any, clip: Footage) -> Row:
    """The columns of this family. Raises `ValueError` with the reason when they cannot be computed."""
    found = av_sync(network, clip.crops, clip.waveform)
    return {"av_offset_frames": float(found.offset_frames), "av_confidence": found.confidence}
