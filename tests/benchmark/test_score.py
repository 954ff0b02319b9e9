import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from benchmark.clip_score import ClipScore, ScoreItem, read_scores
from benchmark.metric import Footage, MetricBase, Unscored, get_metric
from benchmark.normalise import Normalise
from benchmark.score import score, scores_path
from chdtf import media
from chdtf.errors import UserError

LOADED: list[str] = []


@dataclasses.dataclass(frozen=True)
class Level(MetricBase):
    """Mean level of each frame; says when it is loaded."""

    name: ClassVar[str] = "level"
    label: ClassVar[str] = "Level"
    unit: ClassVar[str] = ""
    higher_is_better: ClassVar[bool | None] = True
    source: ClassVar[str] = "this test"

    scale: float = 1.0
    fail_above: float = 1e9

    def load(self) -> Any:
        LOADED.append(self.name)

    def measure(self, generated: Footage, reference: Footage | None, model: Any) -> np.ndarray:
        values = generated.frames.mean(axis=(1, 2, 3)) * self.scale
        if values.max() > self.fail_above:
            raise RuntimeError("too bright")
        return values


def write(path: Path, level: int, num_frames: int = 10) -> Path:
    frames = [np.full((256, 256, 3), level, np.uint8)] * num_frames
    media.write_video(path, frames, np.zeros(num_frames * 640, np.float32))
    return path


@pytest.fixture
def items(tmp_path: Path) -> list[ScoreItem]:
    LOADED.clear()
    made = []
    for index in range(6):
        reference = write(tmp_path / f"gt_{index}.mp4", 100 + 10 * index)
        generated = write(tmp_path / f"out_{index}.mp4", 102 + 10 * index)
        made.append(
            ScoreItem(f"clip_{index}", f"speaker_{index}", "en" if index % 2 else "zh", "test", generated, reference)
        )
    return made


def values_of(results: list[ClipScore], metric: str) -> dict[str, float | None]:
    return {r.clip_id: r.value for r in results if r.metric == metric}


def test_every_clip_has_every_metric(items: list[ScoreItem], tmp_path: Path):
    results = score("m", items, tmp_path / "out", [Level(), get_metric("psnr")])
    assert [(r.clip_id, r.metric) for r in results] == [(i.clip_id, m) for i in items for m in ("level", "psnr")]
    for index, value in enumerate(values_of(results, "level").values()):
        assert value == pytest.approx(102 + 10 * index, abs=1.5)
    assert all(30 < value < 60 for value in values_of(results, "psnr").values())
    first = results[0]
    assert (first.speaker_id, first.language, first.split, first.method) == ("speaker_0", "zh", "test", "m")
    assert first.values.shape == (10,)


def test_what_was_written_reads_back(items: list[ScoreItem], tmp_path: Path):
    results = score("m", items, tmp_path / "out", [Level(), get_metric("psnr")])
    for again, result in zip(read_scores(scores_path(tmp_path / "out", "m")), results, strict=True):
        assert dataclasses.replace(again, values=None) == dataclasses.replace(result, values=None) or (
            again.value == result.value and again.clip_id == result.clip_id
        )
        np.testing.assert_array_equal(again.values, result.values)


def test_a_second_run_redoes_nothing(items: list[ScoreItem], tmp_path: Path):
    first = score("m", items, tmp_path / "out", [Level()])
    assert LOADED == ["level"]
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.parquet")}
    calls: list[Any] = []
    second = score("m", items, tmp_path / "out", [Level()], workers=2, progress=lambda *done: calls.append(done))
    assert LOADED == ["level"]
    assert calls == []
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.parquet")}
    assert values_of(first, "level") == values_of(second, "level")


def test_what_changed_is_scored_again(items: list[ScoreItem], tmp_path: Path):
    out = tmp_path / "out"
    score("m", items, out, [Level()])
    write(items[5].generated, 30)
    shards: list[str] = []
    results = score("m", items, out, [Level()], progress=lambda done, total, what: shards.append(what))
    assert shards == ["shard-00001"]  # clips 4 and 5; clips 0 to 3 are kept
    assert values_of(results, "level")["clip_5"] == pytest.approx(30, abs=1.5)
    doubled = score("m", items, out, [Level(scale=2.0)])
    assert values_of(doubled, "level")["clip_5"] == pytest.approx(60, abs=3)


def test_unscored_clips_stay_with_their_reason(items: list[ScoreItem], tmp_path: Path):
    items[0].generated.unlink()
    items[1].generated.write_bytes(b"")
    items[2].reference.unlink()
    write(items[3].generated, 120, num_frames=4)
    items[4] = dataclasses.replace(items[4], reference=None)
    results = score("m", items, tmp_path / "out", [Level(), get_metric("psnr")])
    reasons = {(r.clip_id, r.metric): r.reason for r in results}
    assert reasons["clip_0", "level"] == "missing_video: out_0.mp4"
    assert reasons["clip_1", "psnr"] == "empty_video: out_1.mp4 has 0 bytes"
    assert reasons["clip_2", "level"] == "reference: missing_video: gt_2.mp4"
    assert reasons["clip_3", "psnr"] == "too_short: 4 of 10 frames"
    assert (reasons["clip_4", "level"], reasons["clip_4", "psnr"]) == (None, "no_reference")
    assert reasons["clip_5", "psnr"] is None
    assert [r.value is None for r in results] == [r.reason is not None for r in results]


def test_a_failing_metric_costs_one_cell_and_is_tried_again(
    items: list[ScoreItem], tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    metrics = [Level(fail_above=145), get_metric("psnr")]
    results = score("m", items, tmp_path / "out", metrics)
    assert {r.clip_id: r.reason for r in results if r.reason} == {"clip_5": "failed: RuntimeError: too bright"}
    assert "too bright" in caplog.text
    assert values_of(results, "psnr")["clip_5"] is not None
    caplog.clear()
    score("m", items, tmp_path / "out", metrics)
    assert "too bright" in caplog.text


def test_a_copy_is_perfect_and_infinite_values_survive(items: list[ScoreItem], tmp_path: Path):
    same = [dataclasses.replace(item, generated=item.reference) for item in items]
    results = score("gt", same, tmp_path / "out", [get_metric("psnr")])
    assert set(values_of(results, "psnr").values()) == {np.inf}
    assert set(values_of(read_scores(scores_path(tmp_path / "out", "gt")), "psnr").values()) == {np.inf}


def test_same_pictures_have_the_same_landmarks(items: list[ScoreItem], tmp_path: Path, photo: np.ndarray):
    """Another file with other sound but the same frames has an LMD of exactly 0; the face is tracked once."""
    frames = [np.roll(photo, shift, axis=1) for shift in range(6)]
    for path, level in ((items[0].reference, 0.1), (items[0].generated, 0.2)):
        media.write_video(path, frames, np.full(6 * 640, level, np.float32))
    assert items[0].reference.read_bytes() != items[0].generated.read_bytes()
    results = score("m", items[:1], tmp_path / "out", [get_metric("lmd"), get_metric("psnr")])
    assert [r.value for r in results] == [0.0, np.inf]
    assert len(list((tmp_path / "out" / "scores" / "reference_landmarks").iterdir())) == 1


def test_declared_offset_is_undone(items: list[ScoreItem], tmp_path: Path):
    reference = tmp_path / "count.mp4"
    frames = [np.full((256, 256, 3), 60 + 12 * k, np.uint8) for k in range(12)]
    media.write_video(reference, frames)
    late = tmp_path / "late.mp4"
    media.write_video(late, frames[2:])
    item = [ScoreItem("c", "s", "en", "test", late, reference)]
    aligned = score("a", item, tmp_path / "out", [get_metric("psnr")], normalise=Normalise(offset_frames=2))
    assert aligned[0].value > 40
    with_lag = score("b", item, tmp_path / "out", [get_metric("psnr")])
    assert with_lag[0].reason == "too_short: 10 of 12 frames"


def test_weights_that_arrive_are_used(items: list[ScoreItem], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DISENTBENCH_WEIGHTS", str(tmp_path / "weights"))
    metric = get_metric("lse_c")
    for result in score("m", items[:2], tmp_path / "out", [metric]):
        assert result.reason == "weights_missing: syncnet_v2.model; run: disentbench weights fetch syncnet_v2"
    (tmp_path / "weights").mkdir(exist_ok=True)
    (tmp_path / "weights" / "syncnet_v2.model").write_bytes(b"something else")
    for result in score("m", items[:2], tmp_path / "out", [metric]):
        assert result.reason.startswith("weights_mismatch: syncnet_v2.model")


def test_wrong_use_is_refused(items: list[ScoreItem], tmp_path: Path):
    with pytest.raises(UserError, match="clip 'clip_0' is to be scored twice for m"):
        score("m", [items[0], items[0]], tmp_path / "out", [Level()])
    with pytest.raises(UserError, match=r"method name '\.\./m'"):
        score("../m", items, tmp_path / "out", [Level()])


def test_unscored_keeps_its_reason_across_processes():
    import pickle

    assert pickle.loads(pickle.dumps(Unscored("no_face: 0 of 3"))).reason == "no_face: 0 of 3"


SCRIPT = """
import sys
from pathlib import Path
from benchmark.clip_score import ScoreItem
from benchmark.metric import get_metric, metric_names
from benchmark.score import score
folder = Path(sys.argv[1])
items = [ScoreItem("c", "s", "en", "test", folder / "out_0.mp4", folder / "gt_0.mp4")]
score("m", items, folder / "out", [get_metric(name) for name in metric_names()])
heavy = sorted({"torch", "mediapipe", "scipy", "skimage", "matplotlib"} & set(sys.modules))
print(",".join(heavy))
"""


@pytest.mark.slow
def test_a_second_run_imports_nothing_heavy(items: list[ScoreItem], tmp_path: Path):
    def run() -> str:
        command = [sys.executable, "-c", SCRIPT, str(tmp_path)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    assert "mediapipe" in run()
    assert run() == ""
