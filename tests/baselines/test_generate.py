"""The door that every method goes through: verified, resumed, never fatal."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from baselines.generate import Item, generate
from baselines.method import Method, load_method
from chdtf import media
from chdtf.files import write_text


def quiet(done: int, total: int, what: str) -> None:
    """No progress."""


@pytest.fixture
def items(tmp_path: Path) -> list[Item]:
    """Two tiny clips, staged."""
    folder = tmp_path / "inputs"
    folder.mkdir()
    made = []
    for number, clip_id in enumerate(("a_000", "b_000")):
        rng = np.random.default_rng(number)
        frames = [rng.integers(0, 255, (64, 64, 3), np.uint8) for _ in range(30)]
        waveform = (0.1 * rng.standard_normal(30 * 640)).astype(np.float32)
        media.write_video(folder / f"{clip_id}.mp4", frames, waveform)
        (folder / f"{clip_id}.wav").write_bytes(media.encode_audio(waveform, codec="wav"))
        import cv2

        cv2.imwrite(str(folder / f"{clip_id}.png"), frames[0])
        paths = (folder / f"{clip_id}{suffix}" for suffix in (".png", ".wav", ".mp4"))
        made.append(Item(clip_id, *paths, num_frames=30, seed=number))
    return made


def written_method(folder: Path, monkeypatch: pytest.MonkeyPatch, code: str, **fields: object) -> Method:
    """A method whose driver is `code`."""
    monkeypatch.setattr("baselines.method.FOLDER", folder)
    write_text(folder / "odd" / "drive.py", code)
    return dataclasses.replace(load_gt(), name="odd", **fields)  # type: ignore[arg-type]


def load_gt() -> Method:
    """Any valid method to start from."""
    fields = {"label": "x", "role": "method", "paper": "x", "upstream": "x", "revision": "1", "license": "x"}
    return Method(name="gt", input="video", eye_blink="none", **fields)  # type: ignore[arg-type]


def test_ground_truth_is_the_reference_and_shifted_sound_changes_only_sound(tmp_path: Path, items: list[Item]) -> None:
    for item, made in zip(items, generate(load_method("gt"), items, tmp_path / "gt", quiet), strict=True):
        assert made.path is not None
        assert made.path.read_bytes() == item.video.read_bytes()
    for item, made in zip(items, generate(load_method("gt_shifted"), items, tmp_path / "s", quiet), strict=True):
        assert made.path is not None
        assert np.array_equal(media.read_frames(made.path), media.read_frames(item.video))
        before, after = media.read_waveform(item.video), media.read_waveform(made.path)
        assert before is not None
        assert after is not None
        shift = 25 * 640
        same = np.corrcoef(after[shift : 30 * 640], before[: 30 * 640 - shift])[0, 1]
        assert same > 0.9


def test_shuffled_sound_is_that_of_another_clip_and_the_picture_stays(tmp_path: Path, items: list[Item]) -> None:
    method, folder = load_method("gt_shuffled"), tmp_path / "shuffled"
    paired = [dataclasses.replace(item, other_audio=items[1 - k].audio) for k, item in enumerate(items)]
    for item, made in zip(paired, generate(method, paired, folder, quiet), strict=True):
        assert made.path is not None
        assert np.array_equal(media.read_frames(made.path), media.read_frames(item.video))
        heard = media.read_waveform(made.path)
        own, other = media.read_waveform(item.audio), media.read_waveform(item.other_audio)
        assert np.corrcoef(heard[: 30 * 640], other)[0, 1] > 0.9
        assert abs(np.corrcoef(heard[: 30 * 640], own)[0, 1]) < 0.1
    before = (folder / "a_000.mp4").stat().st_mtime_ns
    paired[0].other_audio.write_bytes(items[0].audio.read_bytes())
    generate(method, paired[:1], folder, quiet)
    assert (folder / "a_000.mp4").stat().st_mtime_ns != before
    alone = generate(method, items[:1], tmp_path / "alone", quiet)[0]
    assert alone.reason == "refused: a set of one clip has no other clip's sound"


def test_still_shows_the_source_image_throughout(tmp_path: Path, items: list[Item]) -> None:
    made = generate(load_method("still"), items[:1], tmp_path / "still", quiet)[0]
    assert made.path is not None
    frames = media.read_frames(made.path)
    assert len(frames) == 30
    assert np.abs(frames.astype(int) - frames[0]).mean() < 2


def test_the_previous_frame_is_the_reference_one_frame_late(tmp_path: Path, items: list[Item]) -> None:
    made = generate(load_method("copy_previous"), items[:1], tmp_path / "late", quiet)[0]
    assert made.path is not None
    late, reference = media.read_frames(made.path).astype(int), media.read_frames(items[0].video).astype(int)
    assert len(late) == len(reference) == 30
    error = [[np.abs(a - b).mean() for b in reference] for a in late]
    assert [int(np.argmin(row)) for row in error] == [0, *range(29)]


def test_a_second_run_makes_nothing_and_a_changed_input_only_its_own(tmp_path: Path, items: list[Item]) -> None:
    method, folder = load_method("gt"), tmp_path / "gt"
    taken = [made.generation_s for made in generate(method, items, folder, quiet)]
    assert all(seconds is not None and 0 < seconds < 60 for seconds in taken)
    before = {path: path.stat().st_mtime_ns for path in folder.glob("*.mp4")}
    again = generate(method, items, folder, quiet)
    assert all(made.seconds == 0 for made in again)
    assert [made.generation_s for made in again] == taken
    assert {path: path.stat().st_mtime_ns for path in folder.glob("*.mp4")} == before
    changed = [items[0], dataclasses.replace(items[1], seed=99)]
    generate(method, changed, folder, quiet)
    after = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.mp4")}
    assert [path.name for path in before if after[path.name] != before[path]] == ["b_000.mp4"]


def test_a_method_that_writes_nothing_or_crashes_costs_its_clips_only(
    tmp_path: Path, items: list[Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = written_method(tmp_path / "m", monkeypatch, "pass")
    reasons = [made.reason for made in generate(silent, items, tmp_path / "out", quiet)]
    assert reasons == ["no_output: the method ended well and wrote nothing"] * 2
    half = """
import json, shutil, sys
items = json.load(open(sys.argv[1]))["items"]
shutil.copyfile(items[0]["video"], items[0]["output"])
open(items[1]["output"], "w").write("not a video")
sys.exit(3)
"""
    crashing = written_method(tmp_path / "m", monkeypatch, half)
    good, bad = generate(crashing, items, tmp_path / "out", quiet)
    assert good.reason is None
    assert bad.path is None
    assert bad.reason is not None
    assert "unreadable" in bad.reason


@pytest.mark.parametrize("name", ["disenttalk", pytest.param("disenttalk_video", marks=pytest.mark.slow)])
def test_the_reference_model_refuses_clips_without_a_face_and_goes_on(
    tmp_path: Path, items: list[Item], name: str
) -> None:
    """Noise shows no face: each clip gets the reason, and the process is not what failed."""
    for made in generate(load_method(name), items, tmp_path / "out", quiet):
        assert made.path is None
        assert str(made.reason).startswith("refused: ")
        assert "face" in str(made.reason)


def test_a_driver_is_told_its_checkpoint_and_settings(
    tmp_path: Path, items: list[Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    code = """
import json, pathlib, sys
job = json.loads(pathlib.Path(sys.argv[1]).read_text())
for item in job["items"]:
    pathlib.Path(item["output"]).with_suffix(".error").write_text(f"{job['checkpoint']} {job['settings']}")
"""
    weights = tmp_path / "weights.bin"
    weights.write_bytes(b"1")
    method = written_method(tmp_path / "m", monkeypatch, code, checkpoint="own.bin")
    other = method.with_checkpoint(weights, "odd_other", "Other", {"steps": 2.0})
    made = generate(other, items, tmp_path / "out", quiet)
    assert [one.reason for one in made] == [f"refused: {weights} {{'steps': 2.0}}"] * 2


def test_a_hung_method_is_stopped_with_its_children(
    tmp_path: Path, items: list[Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])"
    method = written_method(tmp_path / "m", monkeypatch, code, timeout_s=0.5)
    made = generate(method, items, tmp_path / "out", quiet)
    assert all("timed out after 0.5 s" in str(one.reason) for one in made)
    assert all(one.seconds < 5 for one in made)
