"""What the harness adds to a wrapped method's own time, for each clip: stage, launch, collect, verify, normalise.

    python tests/perf/bench_harness.py [CLIPS] [SECONDS]

An upstream of our own making (a script that copies the reference video) is run through the same door as every
baseline; its own time is what its driver measured, all the rest is ours.
"""

import importlib.util
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from benchmark.normalise import Normalise
from chdtf import media


def main(num_clips: int = 8, seconds: float = 10.0) -> None:
    """Print the parts in milliseconds a clip."""
    spec = importlib.util.spec_from_file_location("doubles", Path(__file__).parents[1] / "baselines" / "conftest.py")
    assert spec is not None
    assert spec.loader is not None
    doubles = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(doubles)
    root = Path(tempfile.mkdtemp(prefix="bench-harness-"))
    with pytest.MonkeyPatch.context() as patch:
        upstream = doubles.make_upstream(root, patch, _clips(doubles, root, num_clips, seconds))
        method = upstream.commit()
        whole = _timed(lambda: upstream.run(method))
        own = sum(made.generation_s for made in upstream.run(method))  # kept, with the time that they took
        again = _timed(lambda: upstream.run(method))
        normal = _timed(lambda: [Normalise().footage(path) for path in sorted(upstream.out.glob("*.mp4"))])
    shutil.rmtree(root)
    told = {"launch, collect, verify": whole - own, "normalise": normal, "all of ours": whole - own + normal}
    for name, value in {**told, "upstream's own (copies a file)": own, "a run with nothing to do": again}.items():
        print(f"{name:<32}{1000 * value / num_clips:8.0f} ms a clip of {seconds:g} s")  # noqa: T201


def _clips(doubles: Any, root: Path, count: int, seconds: float) -> list[Any]:
    folder = root / "inputs"
    folder.mkdir()
    made = []
    length = round(25 * seconds)
    rng = np.random.default_rng(0)
    for number in range(count):
        base = cv2.resize(rng.integers(0, 255, (16, 16, 3), np.uint8), (256, 256), interpolation=cv2.INTER_CUBIC)
        waveform = (0.1 * rng.standard_normal(length * 640)).astype(np.float32)
        place = folder / f"clip{number}_000"
        media.write_video(place.with_suffix(".mp4"), (np.roll(base, k, 1) for k in range(length)), waveform)
        place.with_suffix(".wav").write_bytes(media.encode_audio(waveform, codec="wav"))
        place.with_suffix(".png").write_bytes(b"")
        paths = (place.with_suffix(suffix) for suffix in (".png", ".wav", ".mp4"))
        made.append(doubles.Item(place.name, *paths, num_frames=length, seed=number))
    return made


def _timed(work: Callable[[], object]) -> float:
    started = time.monotonic()
    work()
    return time.monotonic() - started


if __name__ == "__main__":
    main(*(kind(text) for kind, text in zip((int, float), sys.argv[1:], strict=False)))
