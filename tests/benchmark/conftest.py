"""Footage made in memory, with planted landmarks where a test needs them."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.footage import Footage
from chdtf.faces import LEFT_EAR, RIGHT_EAR


def make_footage(
    frames: np.ndarray | None = None,
    waveform: np.ndarray | None = None,
    landmarks: np.ndarray | None = None,
    start_frame: int = 0,
) -> Footage:
    if frames is None:
        frames = np.zeros((len(landmarks), 8, 8, 3), np.uint8)
    made = Footage(frames, waveform, "raw", "frames", "normalised", (), start_frame)
    if landmarks is not None:
        made.__dict__["landmarks"] = landmarks.astype(np.float32)
    return made


@pytest.fixture(scope="session")
def footage() -> Callable[..., Footage]:
    """Factory of footage; `landmarks` given are the ones that it has, and nothing is tracked."""
    return make_footage


@pytest.fixture(scope="session")
def photo() -> np.ndarray:
    """A photograph with a face, uint8 (256, 256, 3) RGB."""
    from skimage import data

    return np.ascontiguousarray(data.astronaut()[:256, 96:352])


@pytest.fixture(scope="session")
def eyes() -> Callable[[np.ndarray], np.ndarray]:
    """Landmarks (T, 478, 3) of a face whose eye aspect ratio is the given (T,) curve."""

    def make(ear: np.ndarray) -> np.ndarray:
        landmarks = np.full((len(ear), 478, 3), 100.0)
        for left_px, eye in ((60.0, RIGHT_EAR), (140.0, LEFT_EAR)):
            for index, (x, sign) in zip(eye, ((0, 0), (10, -1), (20, -1), (30, 0), (20, 1), (10, 1)), strict=True):
                landmarks[:, index, 0] = left_px + x
                landmarks[:, index, 1] = 100 + sign * ear * 30 / 2
        landmarks[np.isnan(ear)] = np.nan
        return landmarks

    return make


KINDS = {"gt": "ground_truth", "gt_shifted": "control", "still": "control"}


def make_results(
    folder: Path,
    values: Mapping[str, Mapping[str, Sequence[float | None]]],
    dataset: str = "hdtf",
    *,
    reason: str = "no_face: found in 1 of 9 frames",
    references: str = "ref",
    videos: str = "video",
    **config: Any,
) -> Path:
    """See `write_results`."""
    from benchmark.metric import get_metric
    from benchmark.score import TABLE
    from chdtf.columns import table_from_rows
    from chdtf.engine.shards import write_shard

    for method, by_metric in values.items():
        rows = [
            {
                "video_id": f"c{k:02d}", "clip_id": f"c{k:02d}", "method": method, "speaker_id": f"s{k // 2:02d}",
                "language": "en", "split": "test", "metric": metric, "value": value, "values_width": 0,
                "reason": reason if value is None else None, "values": None if value is None else np.array([value]),
                "generated": f"../../generated/{method}/c{k:02d}.mp4", "generated_sha256": f"{method} {k} {videos}",
                "reference": f"../../inputs/c{k:02d}.mp4", "reference_sha256": f"{references} {k}",
                "metric_config": json.dumps(
                    {"version": get_metric(metric).version, "options": {}, "weights": {}, "packages": {"av": "15"}}
                    | config
                ),
            }
            for metric, numbers in by_metric.items()
            for k, value in enumerate(numbers)
        ]  # fmt: skip
        write_shard(table_from_rows(rows, TABLE), folder / "scores" / f"{method}.parquet", "x", {"scores_version": "1"})
    record = {"config": {"dataset": dataset, "kinds": {name: KINDS.get(name, "method") for name in values}}}
    (folder / "runs").mkdir(exist_ok=True)
    (folder / "runs" / "20260101T000000-1.json").write_text(json.dumps(record), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def write_results() -> Callable[..., Path]:
    """Writes a folder as `disentbench run` leaves it: values by method and metric, one per clip, two clips a speaker.

    Keywords beyond those of `make_results` change the configuration that every metric records.
    """
    return make_results
