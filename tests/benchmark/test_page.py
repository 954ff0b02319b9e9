"""Agreement with reference scores of the paper's own comparison videos, computed by other code and other versions.

The reference values and their implementations stand in the CSV file beside the videos. Tolerances: PSNR 0.01 dB, CPBD
0.005 (same port, other Canny gate), LMD 0.15 px and EAR 0.015 (MediaPipe's build and mode), one blink per clip.
"""

import csv
import importlib.util
import shutil
from pathlib import Path

import numpy as np
import pytest

from benchmark.footage import Footage
from benchmark.metrics import blink, cpbd, lmd, psnr
from benchmark.normalise import AS_IS
from chdtf.faces import eye_aspect_ratio

CLIPS = {
    ("Vox2", "id00343"): ("gt", "sadtalker", "iplap", "aniportrait", "hallo", "dreamtalk"),
    ("CHDTF", "zhengli_45_crop_0_180"): ("gt", "disenttalk", "styletalk"),
}
CASES = [(*clip, method) for clip, methods in CLIPS.items() for method in methods]


@pytest.fixture(scope="module")
def tiles(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Lossless clips of one method each, cut from the side-by-side videos."""
    work = tmp_path_factory.mktemp("page")
    spec = importlib.util.spec_from_file_location("split_page", shared / "tools" / "split_page.py")
    split_page = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(split_page)
    for subset, clip in CLIPS:
        (work / "source" / subset).mkdir(parents=True, exist_ok=True)
        shutil.copy(shared / "data" / "page" / subset / f"{clip}.mp4", work / "source" / subset)
    split_page.main(work / "tiles", work / "source")
    return work / "tiles"


@pytest.fixture(scope="module")
def expected(shared: Path) -> dict[tuple[str, ...], float]:
    with (shared / "data" / "page" / "reference_scores.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    return {(row["set"], row["clip"], row["method"], row["metric"]): float(row["value"]) for row in rows}


@pytest.fixture(scope="module")
def truths(tiles: Path):
    return {clip: AS_IS.footage(tiles / clip[0] / clip[1] / "gt.mkv") for clip in CLIPS}


@pytest.mark.slow
@pytest.mark.parametrize(("subset", "clip", "method"), CASES)
def test_agrees_with_reference_scores(
    tiles: Path,
    truths: dict[tuple[str, str], Footage],
    expected: dict[tuple[str, ...], float],
    subset: str,
    clip: str,
    method: str,
):
    def reference(metric: str) -> float:
        return expected[subset, clip, method, metric]

    truth = truths[subset, clip]
    made = truth if method == "gt" else AS_IS.footage(tiles / subset / clip / f"{method}.mkv")
    sharpness = cpbd.Metric(frame_step=3)
    assert sharpness.clip_value(sharpness.measure(made, None, None)) == pytest.approx(reference("cpbd"), abs=0.005)
    blinks, seconds = blink.Metric().measure(made, None, None)[:2]
    assert blinks == pytest.approx(reference("blink") * seconds, abs=1.01)
    ear = np.nanmedian(eye_aspect_ratio(made.landmarks))
    assert ear == pytest.approx(reference("ear_median"), abs=0.015)
    if method == "gt":
        return
    quality, mouth = psnr.Metric(), lmd.Metric()
    assert quality.clip_value(quality.measure(made, truth, None)) == pytest.approx(reference("psnr"), abs=0.01)
    values = mouth.measure(made, truth, None)
    assert mouth.clip_value(values) == pytest.approx(reference("lmd"), abs=0.15)
    assert mouth.details(values)["lmd_iod_percent"] == pytest.approx(reference("lmd_iod_pct"), abs=0.3)
