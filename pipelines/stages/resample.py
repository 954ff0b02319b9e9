"""Resample: the framed square of the source as 256x256, 25 fps, with 16 kHz mono sound of exactly its length."""

import dataclasses
from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import pyarrow as pa

from chdtf.colour import mean_level
from chdtf.columns import Row
from chdtf.encode import encode_audio, write_video
from chdtf.engine.shards import Workspace
from chdtf.errors import Reject
from chdtf.files import atomic_path
from chdtf.media import fit_length, read_waveform
from chdtf.region import Footage, contains, read_footage
from chdtf.schema import FPS, FRAME_SIZE_PX, SAMPLE_RATE_HZ, SAMPLES_PER_FRAME

_ENOUGH_PX = 0.88 * FRAME_SIZE_PX  # of a crop in frames kept smaller; fewer are worth decoding again for


def footage_of(row: Row, workspace: Workspace) -> Footage:
    """The clip's frames around its box: as `cut` kept them in memory, or decoded again, to the same bytes.

    The box itself is the region where it leaves the one that `cut` kept, or where that was kept smaller than the clip
    is to be though the source shows more.
    """
    source, box, roi = workspace.resolve(row["source"]), row["box"], row.get("roi")
    times = row["clip_start_s"], row["clip_end_s"]
    if contains(roi, box):
        clip_id, footage = workspace.scratch.get("footage", (None, None))
        if clip_id != row["clip_id"] or not isinstance(footage, Footage):
            footage = read_footage(source, *times, roi)
        x0, _, x1, _ = footage.window(box)
        if footage.scale == 1 or x1 - x0 >= _ENOUGH_PX:
            return footage
    return read_footage(source, *times, box)


@dataclasses.dataclass(frozen=True)
class Stage:
    """Writes the framed square in the dataset's one form; colours as declared by the source, HDR brought to SDR.

    Rejects: `no_audio`, `audio_short` (more than `max_padding_s` missing at the end), `too_short`.
    """

    name: ClassVar[str] = "resample"
    version: ClassVar[int] = 2
    timeout_s: ClassVar[float] = 300.0  # for at most 30 s of source
    adds: ClassVar[pa.Schema] = pa.schema(
        [
            ("video", pa.string()),  # H.264 and AAC in mp4, path below the dataset's root
            ("audio", pa.string()),  # 16 kHz mono FLAC
            ("num_frames", pa.int32()),
            ("audio_padded_s", pa.float64()),  # silence added at the end
            ("mean_luma", pa.float64()),  # 0 to 255, mean over pixels, channels and frames
        ]
    )

    crf: int = 17
    max_padding_s: float = 0.5  # containers end sound up to some tenths of a second before the picture
    min_frames: int = 25

    def load(self) -> None:
        """Nothing to load."""

    def apply(self, row: Row, model: None, workspace: Workspace) -> list[Row]:
        """Return the row with its media files."""
        source = workspace.resolve(row["source"])
        start_s, end_s = row["clip_start_s"], row["clip_end_s"]
        waveform = read_waveform(source, SAMPLE_RATE_HZ, start_s, end_s)
        if waveform is None:
            raise Reject("no_audio", "the source has no audio stream")
        footage = footage_of(row, workspace)
        count = footage.num_frames
        if count < self.min_frames:
            raise Reject("too_short", f"{count} frames, at least {self.min_frames}")
        missing_s = max(0.0, count / FPS - len(waveform) / SAMPLE_RATE_HZ)
        if missing_s > self.max_padding_s:
            raise Reject("audio_short", f"the sound ends {missing_s:.2f} s before the picture")
        waveform = fit_length(waveform, count * SAMPLES_PER_FRAME)
        video = workspace.file(row["clip_id"], ".mp4")
        audio = workspace.file(row["clip_id"], ".flac")
        levels: list[float] = []

        def images() -> Iterator[np.ndarray]:
            for image in footage.crop(row["box"], FRAME_SIZE_PX):
                levels.append(mean_level(image))
                yield image

        write_video(video, images(), waveform, FPS, crf=self.crf)
        with atomic_path(audio) as temporary:
            temporary.write_bytes(encode_audio(waveform))
        made = {
            "video": workspace.relative(video),
            "audio": workspace.relative(audio),
            "num_frames": count,
            "audio_padded_s": missing_s,
            "mean_luma": float(np.mean(levels)),
        }
        return [{**row, **made}]
