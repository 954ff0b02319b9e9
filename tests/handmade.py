"""Finished rows made by hand, with known contents, and the dataset that is published of them."""

import functools
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from chdtf import media
from chdtf.columns import Row, table_from_rows
from chdtf.engine.shards import extended_schema, write_shard
from chdtf.morphable.coefficients import Coefficients, to_row
from chdtf.morphable.model import load_model
from chdtf.schema import MANIFEST, NUM_LANDMARKS, OUTCOME, SAMPLES_PER_FRAME
from pipelines.account import Account
from pipelines.publication.publish import publish
from pipelines.recipes import chdtf_recipe

SCHEMA = functools.reduce(
    lambda schema, stage: extended_schema(schema, stage.adds), chdtf_recipe(), extended_schema(MANIFEST, OUTCOME)
)
SETTINGS: dict[str, Any] = {"stages": [{"name": "cut", "version": 1, "fields": {"max_clip_s": 30.0}}], "manifest": "m"}


def coefficients(seed: int, num_frames: int) -> Coefficients:
    random = np.random.default_rng(seed)
    valid = np.arange(num_frames) != 3
    return Coefficients(
        identity=random.normal(size=(468, 3)).astype(np.float32),
        expression=random.normal(size=(num_frames, 64)).astype(np.float32),
        rotation=random.normal(size=(num_frames, 3)).astype(np.float32),
        translation=random.normal(size=(num_frames, 3)).astype(np.float32),
        scale=random.normal(size=num_frames).astype(np.float32),
        valid=valid,
    )


def pictures(seed: int, num_frames: int) -> np.ndarray:
    """Grey frames whose level tells their number and clip."""
    levels = 20 + 10 * seed + 2 * np.arange(num_frames)
    return np.broadcast_to(levels.astype(np.uint8)[:, None, None, None], (num_frames, 256, 256, 3))


def waveform(seed: int, num_frames: int) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(-9000, 9000, num_frames * SAMPLES_PER_FRAME)
    return (noise / 32768).astype(np.float32)


@functools.cache
def encoded(seed: int, num_frames: int) -> tuple[bytes, bytes]:
    """The clip's picture (mp4) and sound (FLAC)."""
    sound = waveform(seed, num_frames)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        media.write_video(path, pictures(seed, num_frames), sound)
        return path.read_bytes(), media.encode_audio(sound)


def landmarks(seed: int, num_frames: int) -> np.ndarray:
    points = np.random.default_rng(seed).uniform(0, 256, (num_frames, NUM_LANDMARKS, 3)).astype(np.float32)
    points[3] = np.nan
    return points


def finished_row(root: Path, number: int, split: str, num_frames: int = 12, **more: Any) -> Row:
    """An accepted clip with its media below `root`."""
    name = f"v{number}_000"
    folder = root / "work" / "media"
    folder.mkdir(parents=True, exist_ok=True)
    for suffix, data in zip(("mp4", "flac"), encoded(number, num_frames), strict=True):
        (folder / f"{name}.{suffix}").write_bytes(data)
    model = load_model("mp468")
    return {
        "video_id": f"v{number}",
        "clip_id": name,
        "url": f"https://videos.example/{number}",
        "speaker_id": f"s{number}",
        "language": "cmn-Hans-CN" if number % 2 else "en",
        "license": "CC-BY-4.0",
        "split": split,
        "num_frames": num_frames,
        "video": f"work/media/{name}.mp4",
        "audio": f"work/media/{name}.flac",
        "box": np.array([0.1, 0.2, 0.3, 0.4]),
        "speech_share": 0.75,
        "landmarks": landmarks(number, num_frames).reshape(num_frames, -1),
        **to_row(coefficients(number, num_frames), model),
        "fitter": "by hand",
        "fitter_version": 1,
        "fit_error_px": 0.25,
        **more,
    }


def refused_row(number: int, **outcome: str) -> Row:
    row = {"video_id": f"v{number}", "clip_id": f"v{number}", "url": "file:v.mp4", "speaker_id": "x"}
    return {**row, "language": "und", "license": "unknown", "split": "train", "face_share": 0.04, **outcome}


def write_rows(root: Path, index: int, rows: list[Row]) -> Path:
    path = root / "work" / f"shard-{index}.parquet"
    write_shard(table_from_rows(rows, SCHEMA), path, "by hand")
    return path


def make_shards(root: Path) -> list[Path]:
    """Two shards: clips 0 and 1 (train), 2 (test) and 3 (train); a rejected and a failed video."""
    first = [finished_row(root, 0, "train"), refused_row(8, reject="no_face: in 96% of frames")]
    second = [
        finished_row(root, 2, "test"),
        finished_row(root, 3, "train", num_frames=20),
        refused_row(9, error="TimeoutError: silent"),
    ]
    return [
        write_rows(root, 0, [*first, finished_row(root, 1, "train")]),
        write_rows(root, 1, second),
    ]


def publish_small(root: Path) -> Account:
    """Publish `make_shards` in `root`."""
    return publish(root, make_shards(root), [], SCHEMA, SETTINGS)
