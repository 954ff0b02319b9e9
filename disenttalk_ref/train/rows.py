"""Audio features of the clips of a run that are not computed on the fly: read when a window asks for them.

55 hours of HuBERT features are 15 GB; the clips asked for last stay in memory, up to a limit.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from chdtf.dataset import MotionClip
from chdtf.errors import UserError
from disenttalk_ref.audio import Features

KEPT_BYTES = 2 << 30  # features held in memory


class ClipFeatures(Mapping[str, np.ndarray]):
    """Features by clip id, float16 (T, A), of several tables. Threads may ask at once; what they get is not changed.

    Raises `KeyError` for a clip that is in no table.
    """

    def __init__(
        self,
        tables: Iterable[Mapping[str, np.ndarray]],
        offset_frames: Mapping[str, int] | None = None,
        kept_bytes: int = KEPT_BYTES,
    ) -> None:
        """With an offset k, row i of a clip is row i + k of its table; at the ends the first or last row is held."""
        self._table_of = {clip_id: table for table in tables for clip_id in table}
        self._offset_frames, self._kept_bytes = offset_frames or {}, kept_bytes
        self._kept: OrderedDict[str, np.ndarray] = OrderedDict()
        self._bytes, self._lock = 0, threading.Lock()

    def __iter__(self) -> Iterator[str]:
        return iter(self._table_of)

    def __len__(self) -> int:
        return len(self._table_of)

    def __contains__(self, clip_id: object) -> bool:
        return clip_id in self._table_of

    def __getitem__(self, clip_id: str) -> np.ndarray:
        with self._lock:
            if clip_id in self._kept:
                self._kept.move_to_end(clip_id)
                return self._kept[clip_id]
        rows = moved(self._table_of[clip_id][clip_id].astype(np.float16), self._offset_frames.get(clip_id, 0))
        with self._lock:
            if clip_id not in self._kept:  # else another thread was quicker
                self._kept[clip_id] = rows
                self._bytes += rows.nbytes
            while self._bytes > self._kept_bytes:
                self._bytes -= self._kept.popitem(last=False)[1].nbytes
        return rows

    def in_sync(self, offset_frames: Mapping[str, int]) -> "ClipFeatures":
        """The same clips, each moved by its offset; one without an offset stays as it is."""
        return ClipFeatures(self._tables(), offset_frames, self._kept_bytes)

    def _tables(self) -> list[Mapping[str, np.ndarray]]:
        return list({id(table): table for table in self._table_of.values()}.values())


def moved(rows: np.ndarray, frames: int) -> np.ndarray:
    """rows[i + frames] at i, the first or last row where there is none: (T, A) -> (T, A)."""
    if frames == 0:
        return rows
    found: np.ndarray = rows[np.clip(np.arange(len(rows)) + frames, 0, len(rows) - 1)]
    return found


def read_features(roots: Sequence[Path], features: Features, clips: Sequence[MotionClip]) -> ClipFeatures:
    """Features of these clips, from the caches of their datasets, or computed now where that is quick.

    Raises `UserError` where they are not cached (naming the command), or a clip is in none of the datasets.
    """
    from disenttalk_ref.audio.cache import cached

    if features.quick:
        return ClipFeatures([{clip.clip_id: features.extract(clip.waveform).astype(np.float16) for clip in clips}])
    found = ClipFeatures([cached(Path(root), features) for root in roots])
    for clip in clips:
        if clip.clip_id not in found:
            names = ", ".join(str(root) for root in roots)
            raise UserError(f"clip {clip.clip_id}: no features of it in {names}; name the dataset that it comes from")
    return found
