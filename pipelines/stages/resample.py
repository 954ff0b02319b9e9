"""Resample: the framed square of the source as 256x256, 25 fps, with 16 kHz mono sound of exactly its length."""

import dataclasses
from collections.abc import Sequence
from typing import ClassVar

import cv2
import numpy as np
import pyarrow as pa

from chdtf.columns import Row
from chdtf.errors import Reject
from chdtf.files import atomic_path
from chdtf.media import encode_audio, fit_length, frames, read_waveform, resize, write_video
from chdtf.schema import FPS, FRAME_SIZE_PX, SAMPLE_RATE_HZ, SAMPLES_PER_FRAME
from chdtf.shards import Workspace


def crop(image: np.ndarray, box: Sequence[float]) -> np.ndarray:
    """Cut `box` (x0, y0, x1, y1, fractions) out of (H, W, 3); what lies outside repeats the border."""
    height, width = image.shape[:2]
    x0, x1 = round(box[0] * width), round(box[2] * width)
    y0, y1 = round(box[1] * height), round(box[3] * height)
    inside: np.ndarray = image[max(y0, 0) : min(y1, height), max(x0, 0) : min(x1, width)]
    beyond = (max(-y0, 0), max(y1 - height, 0), max(-x0, 0), max(x1 - width, 0))
    return cv2.copyMakeBorder(inside, *beyond, cv2.BORDER_REPLICATE) if any(beyond) else inside


@dataclasses.dataclass(frozen=True)
class Stage:
    """Decodes the clip at full resolution and writes it in the dataset's one form.

    Rejects: `no_audio`, `audio_short` (more than `max_padding_s` missing at the end), `too_short`.
    """

    name: ClassVar[str] = "resample"
    version: ClassVar[int] = 1
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
        images = [
            resize(crop(image, row["box"]), FRAME_SIZE_PX) for image in frames(source, FPS, start_s, end_s)
        ]  # at most max_clip_s x 25 x 192 KiB; the sound's length hangs on their number
        if len(images) < self.min_frames:
            raise Reject("too_short", f"{len(images)} frames, at least {self.min_frames}")
        missing_s = max(0.0, len(images) / FPS - len(waveform) / SAMPLE_RATE_HZ)
        if missing_s > self.max_padding_s:
            raise Reject("audio_short", f"the sound ends {missing_s:.2f} s before the picture")
        waveform = fit_length(waveform, len(images) * SAMPLES_PER_FRAME)
        video = workspace.file(row["clip_id"], ".mp4")
        audio = workspace.file(row["clip_id"], ".flac")
        write_video(video, images, waveform, FPS, crf=self.crf)
        with atomic_path(audio) as temporary:
            temporary.write_bytes(encode_audio(waveform))
        made = {
            "video": workspace.relative(video),
            "audio": workspace.relative(audio),
            "num_frames": len(images),
            "audio_padded_s": missing_s,
            "mean_luma": float(np.mean([image.mean() for image in images])),
        }
        return [{**row, **made}]
