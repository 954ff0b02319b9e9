"""Cut: one video row becomes one row for each clip. Times only; nothing is decoded or encoded here."""

import dataclasses
import math
from typing import ClassVar

import pyarrow as pa

from chdtf.columns import Row
from chdtf.errors import Reject
from chdtf.schema import FPS
from chdtf.shards import Workspace


def pieces(start_s: float, end_s: float, max_clip_s: float) -> list[tuple[float, float]]:
    """Cut an interval into the fewest pieces of at most `max_clip_s`, alike in length to a frame of 1/25 s.

    Equal pieces leave no short remainder behind. Inner borders lie on the 25 fps grid that begins at `start_s`, so the
    pieces together hold every frame once.
    """
    length_frames = (end_s - start_s) * FPS
    count = max(1, math.ceil(length_frames / math.floor(max_clip_s * FPS) - 1e-9))
    borders = [start_s + math.floor(i * length_frames / count) / FPS for i in range(count)]
    return list(zip(borders, [*borders[1:], end_s], strict=True))


@dataclasses.dataclass(frozen=True)
class Stage:
    """Cuts the manifest's interval, or the whole source, into clips of `min_clip_s` to `max_clip_s` seconds."""

    name: ClassVar[str] = "cut"
    version: ClassVar[int] = 1
    adds: ClassVar[pa.Schema] = pa.schema([("clip_start_s", pa.float64()), ("clip_end_s", pa.float64())])

    min_clip_s: float = 1.0
    max_clip_s: float = 30.0
    tolerance_s: float = 1.0  # annotations may end this much after the source does; they are cut to it

    def load(self) -> None:
        """Nothing to load."""

    def apply(self, row: Row, model: None, workspace: Workspace) -> list[Row]:
        """Return the clips of one video. Raises `Reject` (`unknown_duration`, `outside_source`, `too_short`)."""
        duration_s = row["source_duration_s"]
        if not duration_s or not math.isfinite(duration_s):
            raise Reject("unknown_duration", "the container does not say how long it is")
        start_s = row["start_s"] or 0.0
        end_s = duration_s if row["end_s"] is None else row["end_s"]
        if start_s >= duration_s or end_s > duration_s + self.tolerance_s:
            raise Reject("outside_source", f"{start_s:g} to {end_s:g} s of a source of {duration_s:.2f} s")
        end_s = min(end_s, duration_s)
        if end_s - start_s < self.min_clip_s:
            raise Reject("too_short", f"{end_s - start_s:.2f} s, at least {self.min_clip_s:g} s")
        return [
            {**row, "clip_id": f"{row['video_id']}_{number:03d}", "clip_start_s": begin, "clip_end_s": end}
            for number, (begin, end) in enumerate(pieces(start_s, end_s, self.max_clip_s))
        ]
