import dataclasses
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmark.clip_score import ClipScore, ScoreItem, read_scores
from benchmark.metric import Footage, MetricBase, Unscored, get_metric
from benchmark.normalise import Normalise
from benchmark.score import score, score_all, scores_path
from chdtf import media
from chdtf.errors import UserError

LOADED: list[str] = []
GREY = np.full((256, 256, 3), 128, np.uint8)


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


@dataclasses.dataclass(frozen=True)
class Loudness(MetricBase):
    """Mean amplitude; needs sound."""

    name: ClassVar[str] = "loudness"
    label: ClassVar[str] = "Loudness"
    unit: ClassVar[str] = ""
    higher_is_better: ClassVar[bool | None] = True
    source: ClassVar[str] = "this test"
    needs: ClassVar[frozenset[str]] = frozenset({"audio"})

    def measure(self, generated: Footage, reference: Footage | None, model: Any) -> np.ndarray:
        return np.array([np.abs(generated.waveform).mean()])


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


@dataclasses.dataclass(frozen=True)
class Counted(Level):
    """Says when it measures."""

    def measure(self, generated: Footage, reference: Footage | None, model: Any) -> np.ndarray:
        LOADED.append("measured")
        return super().measure(generated, reference, model)


def test_what_is_added_costs_only_itself(items: list[ScoreItem], tmp_path: Path):
    """A metric, or a clip before all others, whereby every later clip lies in another shard."""
    out = tmp_path / "out"
    first = score("m", items[1:], out, [Counted()])
    assert LOADED.count("measured") == 5
    more = score("m", items[1:], out, [get_metric("psnr"), Counted()])
    assert LOADED.count("measured") == 5
    assert values_of(more, "level") == values_of(first, "level")
    assert all(value is not None for value in values_of(more, "psnr").values())
    every = score("m", items, out, [get_metric("psnr"), Counted()])
    assert LOADED.count("measured") == 6
    fresh = score("m", items, tmp_path / "fresh", [get_metric("psnr"), Counted()])
    assert [(r.clip_id, r.metric, r.value) for r in every] == [(r.clip_id, r.metric, r.value) for r in fresh]
    assert untimed(out).equals(untimed(tmp_path / "fresh"))
    LOADED.clear()
    score("m", items, out, [Counted(scale=2.0)])
    score("m", items, out, [Counted(scale=2.0)], normalise=Normalise(offset_frames=-1))
    assert LOADED.count("measured") == 12


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


def break_missing(path: Path) -> None:
    path.unlink()


def break_empty(path: Path) -> None:
    path.write_bytes(b"")


def break_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def break_truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])


def break_text(path: Path) -> None:
    path.write_text("<html>not found</html>")


def break_short(path: Path) -> None:
    write(path, 130, num_frames=8)


def break_long(path: Path) -> None:
    write(path, 130, num_frames=14)


def break_still(path: Path) -> None:
    write(path, 130, num_frames=1)


def break_wide(path: Path) -> None:
    media.write_video(path, [np.full((128, 256, 3), 130, np.uint8)] * 10)


def break_black(path: Path) -> None:
    write(path, 0)


def break_sound_only(path: Path) -> None:
    path.write_bytes(media.encode_audio(np.zeros(6400, np.float32), codec="wav"))


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (break_missing, r"missing_video: out_0\.mp4"),
        (break_empty, r"empty_video: out_0\.mp4 has 0 bytes"),
        (break_folder, r"not_a_file: out_0\.mp4 is a folder"),
        (break_truncated, r"(unreadable: out_0\.mp4|too_short: \d of 10 frames)"),
        (break_text, r"unreadable: out_0\.mp4"),
        (break_short, r"too_short: 8 of 10 frames"),
        (break_still, r"too_short: 1 of 10 frames"),
        (break_long, r"too_long: 14 frames where 10 are expected"),
        (break_wide, r"not_square: out_0\.mp4 is 256x128"),
        (break_black, r"all_black: out_0\.mp4, 10 frames"),
        (break_sound_only, r"unreadable: out_0\.mp4: no video stream"),
    ],
)
def test_a_video_that_cannot_be_scored_is_null_in_every_column(
    items: list[ScoreItem], tmp_path: Path, broken: Callable[[Path], None], reason: str
):
    """And costs no other clip."""
    broken(items[0].generated)
    results = score("m", items[:2], tmp_path / "out", [Level(), get_metric("psnr")])
    assert [r.value is None for r in results] == [True, True, False, False]
    assert all(re.fullmatch(f"{reason}.*", r.reason) for r in results[:2])


def test_other_sizes_rates_and_lengths_are_scored_and_noted(items: list[ScoreItem], tmp_path: Path):
    small, fast, long = (item.generated for item in items[:3])
    media.write_video(small, [np.full((128, 128, 3), 102, np.uint8)] * 10)
    media.write_video(fast, [np.full((256, 256, 3), 112, np.uint8)] * 20, fps=50)
    write(long, 122, num_frames=11)
    results = score("m", items[:3], tmp_path / "out", [get_metric("psnr")])
    assert all(result.value > 30 for result in results)
    assert results[0].notes == "scaled from 128x128; no sound: out_0.mp4 holds none"
    assert results[1].notes.startswith("resampled from 50 fps")
    assert results[2].notes == "11 frames where 10 are expected"
    assert len(results[2].values) == 10


def test_an_output_that_goes_on_where_the_reference_turns_black_is_scored(items: list[ScoreItem], tmp_path: Path):
    write(items[0].generated, 102, num_frames=14)
    lit, dark = ([np.full((256, 256, 3), level, np.uint8)] * number for level, number in ((100, 10), (0, 4)))
    media.write_video(items[0].reference, [*lit, *dark])
    (result,) = score("m", items[:1], tmp_path / "out", [get_metric("psnr")])
    assert len(result.values) == 10
    (result,) = score("n", items[:1], tmp_path / "out", [get_metric("psnr")], normalise=Normalise(offset_frames=12))
    assert result.reason == "no_common_frames: the reference has 10 frames, the offset is 12"


def test_without_sound_or_face_only_what_needs_them_is_null(items: list[ScoreItem], tmp_path: Path):
    media.write_video(items[0].generated, [GREY] * 10)
    silent_reference = tmp_path / "silent.mp4"
    media.write_video(silent_reference, [GREY] * 10)
    items[1] = dataclasses.replace(items[1], reference=silent_reference, audio=silent_reference)
    found = score("m", items[:2], tmp_path / "out", [Loudness(), get_metric("lmd"), get_metric("psnr")])
    reasons = {(result.clip_id, result.metric): result.reason for result in found}
    assert reasons["clip_0", "loudness"] == "no_audio: out_0.mp4 holds none"
    assert reasons["clip_1", "loudness"] == "no_audio: silent.mp4 holds none"
    assert reasons["clip_0", "lmd"].startswith("no_face: found in 0 of 10 frames")
    assert reasons["clip_0", "psnr"] is reasons["clip_1", "psnr"] is None


def test_a_crop_of_the_methods_own_is_null_or_measured_under_another_name(
    items: list[ScoreItem], tmp_path: Path, photo: np.ndarray
):
    import cv2

    faces = [np.roll(photo, shift, axis=1) for shift in (0, 2, 4, 2)]
    media.write_video(items[0].reference, faces)
    media.write_video(items[0].generated, [cv2.resize(face[10:210, 30:230], (256, 256)) for face in faces])
    metrics = [get_metric("psnr"), Level()]
    crop, undone = (
        {r.metric: r for r in score(how, items[:1], tmp_path / "out", metrics, normalise=Normalise(geometry=how))}
        for how in ("method_crop", "recrop")
    )
    assert crop["psnr"].reason == undone["psnr"].reason == "geometry: PSNR means nothing on method_crop"
    assert "psnr@recrop" not in crop
    assert undone["psnr@recrop"].value > 25
    assert (undone["psnr@recrop"].geometry, undone["level"].geometry) == ("recrop", "method_crop")
    assert "re-aligned: scale 0.78" in undone["psnr@recrop"].notes
    assert undone["level"].value == crop["level"].value
    write(items[0].generated, 110, num_frames=4)
    again = score("recrop", items[:1], tmp_path / "out", metrics, normalise=Normalise(geometry="recrop"))
    said = {r.metric: (r.reason or "").split(":")[0] for r in again}
    assert said == {"psnr": "geometry", "psnr@recrop": "no_face", "level": ""}


def test_each_method_is_normalised_its_own_way(items: list[ScoreItem], tmp_path: Path):
    wide = tmp_path / "wide.mp4"
    media.write_video(wide, [np.hstack([GREY, GREY // 2])] * 10)
    jobs = {"a": items[:1], "b": [dataclasses.replace(items[0], generated=wide)]}
    how = {"b": Normalise(panel=(256, 0, 256, 256))}
    found = score_all(jobs, tmp_path / "out", [Level()], normalise=how)
    assert found["a"][0].value == pytest.approx(102, abs=1.5)
    assert found["b"][0].value == pytest.approx(64, abs=1.5)


def test_seconds_are_kept_and_count_as_no_change(items: list[ScoreItem], tmp_path: Path):
    here, there = tmp_path / "here", tmp_path / "there"
    timed = [dataclasses.replace(item, generation_s=1.5) for item in items]
    metrics = [Level(), get_metric("fps")]
    first = score("m", timed, here, metrics)
    score("m", timed, there, metrics)
    assert all(0 < result.seconds < 10 for result in first if result.metric == "level")
    assert {round(result.value, 3) for result in first if result.metric == "fps"} == {6.667}
    one, other = (pq.read_table(scores_path(out, "m")) for out in (here, there))
    assert one.drop_columns(["seconds"]).equals(other.drop_columns(["seconds"]))
    assert other.schema.metadata[b"fingerprint"] == one.schema.metadata[b"fingerprint"]
    assert [r.seconds for r in score("m", timed, here, metrics)] == [r.seconds for r in first]


def untimed(out: Path) -> pa.Table:
    return pq.read_table(scores_path(out, "m")).drop_columns(["seconds"])


def test_neither_workers_nor_the_order_of_clips_change_a_bit(items: list[ScoreItem], tmp_path: Path):
    metrics = [get_metric("psnr"), get_metric("cpbd")]
    score("m", items, tmp_path / "one", metrics)
    score("m", items, tmp_path / "two", metrics, workers=2)
    assert untimed(tmp_path / "one").equals(untimed(tmp_path / "two"))
    score("m", items[::-1], tmp_path / "turned", metrics)
    by_clip = [("clip_id", "ascending"), ("metric", "ascending")]
    assert untimed(tmp_path / "turned").sort_by(by_clip).equals(untimed(tmp_path / "one").sort_by(by_clip))


@pytest.mark.slow
def test_ray_gives_the_same_to_the_last_bit(items: list[ScoreItem], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("ray", reason="needs the extra 'ray'")
    from benchmark.cli._scoring import ray_runner

    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    metrics = [get_metric("psnr"), get_metric("cpbd")]
    score("m", items, tmp_path / "here", metrics)
    score("m", items, tmp_path / "ray", metrics, runner=ray_runner("ray", None, 1))
    assert untimed(tmp_path / "here").equals(untimed(tmp_path / "ray"))
    assert ray_runner("local", None, 1) is None


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
