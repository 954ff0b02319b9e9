"""Normalised videos as files, for looking at what metrics saw: FFV1 and 32-bit float sound in Matroska, lossless."""

import fractions
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.clip_score import ScoreItem
from benchmark.footage import Footage, Unscored
from benchmark.normalise import Normalise
from chdtf.engine.execute import Progress
from chdtf.files import atomic_path
from chdtf.schema import FPS, SAMPLE_RATE_HZ

_TAG = "normalised_sha256"


def keep_normalised(
    items: Iterable[ScoreItem], folder: Path, normalise: Normalise, progress: Progress = lambda done, total, what: None
) -> list[Path]:
    """Write `folder/<clip>.mkv` for every clip that can be normalised; returns the paths. What is there stays."""
    items = list(items)
    written = []
    for number, item in enumerate(items, 1):
        path = folder / f"{item.clip_id}.mkv"
        if item.problem is None:
            try:
                footage = normalise.footage(item.generated, item.audio)
            except Unscored:
                path.unlink(missing_ok=True)  # of an earlier video; the scores say why there is none now
            else:
                if _hash_of(path) != footage.normalised_sha256:
                    write_lossless(footage, path)
                written.append(path)
        progress(number, len(items), item.clip_id)
    return written


def write_lossless(footage: Footage, path: Path) -> None:
    """Write frames and sound such that reading the file again gives the same bytes; whole or not at all."""
    import av

    same_bytes = {"fflags": "+bitexact"}
    with (
        atomic_path(path) as temporary,
        av.open(str(temporary), "w", "matroska", container_options=same_bytes) as container,
    ):
        container.metadata[_TAG] = footage.normalised_sha256
        height, width = footage.frames.shape[1:3]
        video = container.add_stream("ffv1", rate=fractions.Fraction(FPS))
        video.width, video.height, video.pix_fmt = width, height, "bgr0"
        waveform = footage.waveform
        sound = None if waveform is None else container.add_stream("pcm_f32le", rate=SAMPLE_RATE_HZ, layout="mono")
        for image in footage.frames:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            container.mux(video.encode(frame.reformat(format="bgr0")))
        container.mux(video.encode(None))
        if sound is not None and waveform is not None:
            _mux(container, sound, waveform)


def _mux(container: Any, stream: Any, waveform: np.ndarray) -> None:
    import av

    for begin in range(0, len(waveform), 4096):
        part = np.ascontiguousarray(waveform[None, begin : begin + 4096], np.float32)
        frame = av.AudioFrame.from_ndarray(part, format="flt", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE_HZ, begin, fractions.Fraction(1, SAMPLE_RATE_HZ)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def _hash_of(path: Path) -> str | None:
    import av

    try:
        with av.open(str(path)) as container:
            tags = {key.lower(): value for key, value in container.metadata.items()}
    except (av.error.FFmpegError, OSError):
        return None
    return tags.get(_TAG)
