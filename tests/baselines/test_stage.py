"""What methods are given: once, shared, and made again when the clip behind it is another one."""

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import pytest

from baselines.stage import stage_extras, stage_inputs
from chdtf.clip import Clip, read_clips
from chdtf.errors import UserError


@pytest.fixture
def clips(dataset: Path) -> list[Clip]:
    return read_clips(dataset)


def with_inputs(method: Any, **inputs: dict[str, Any]) -> Any:
    return dataclasses.replace(method, wrapped=dataclasses.replace(method.wrapped, inputs=inputs))


def test_clips_are_staged_once_and_again_when_they_are_others(clips: list[Clip], tmp_path: Path):
    items = stage_inputs(clips, tmp_path)
    written = {path: path.stat().st_mtime_ns for item in items for path in (item.image, item.audio, item.video)}
    stage_inputs(clips, tmp_path)
    assert {path: path.stat().st_mtime_ns for path in written} == written
    shutil.copy(items[1].video, items[0].video)  # as if the data set had been built otherwise under the same names
    stage_inputs(clips, tmp_path)
    assert items[0].video.read_bytes() == clips[0].video_bytes()
    assert all(path.stat().st_mtime_ns > written[path] for path in (items[0].image, items[0].audio, items[0].video))


def test_what_two_methods_derive_alike_is_derived_once(upstream: Any, clips: list[Clip], tmp_path: Path):
    items = stage_inputs(clips, tmp_path / "inputs")
    method = with_inputs(upstream.commit(), clip={"kind": "video"}, slow={"kind": "frame_folder", "fps": 5.0})
    first = stage_extras(method, clips, items, tmp_path / "derived")
    other = with_inputs(method, other_name={"kind": "frame_folder", "fps": 5.0})
    second = stage_extras(other, clips, items, tmp_path / "derived")
    for clip in clips:
        folder = first[clip.clip_id].inputs["slow"]
        assert second[clip.clip_id].inputs == {"other_name": folder}
        assert len(list(folder.iterdir())) == round(clip.num_frames / 5)
        assert first[clip.clip_id].inputs["clip"].suffix == ".mp4"
    third = stage_extras(with_inputs(method, slow={"kind": "frame_folder"}), clips, items, tmp_path / "derived")
    assert third[clips[0].clip_id].inputs["slow"] != first[clips[0].clip_id].inputs["slow"]
    assert not list((tmp_path / "derived").rglob(".tmp-*"))


def test_a_clip_that_lacks_what_is_needed_costs_itself(
    upstream: Any, clips: list[Clip], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    items = stage_inputs(clips, tmp_path / "inputs")
    phones = tmp_path / "phones"
    phones.mkdir()
    (phones / f"{clips[0].clip_id}.csv").write_text("start_s,end_s,phone\n0,0.2,AA\n")
    monkeypatch.setenv("DISENTBENCH_PHONES", str(phones))
    method = with_inputs(upstream.commit(), words={"kind": "phoneme_words"})
    extras = stage_extras(method, clips, items, tmp_path / "derived")
    assert extras[clips[0].clip_id].reason is None
    assert str(extras[clips[1].clip_id].reason).startswith("no_phonemes: ")
    upstream.items, upstream.out = items, tmp_path / "out"
    made = upstream.run_with(method, extras)
    assert made[1].reason == extras[clips[1].clip_id].reason


def test_a_kind_that_is_not_there_is_the_user_s_to_mend(upstream: Any, clips: list[Clip], tmp_path: Path):
    items = stage_inputs(clips, tmp_path / "inputs")
    with pytest.raises(UserError, match="vidio"):
        stage_extras(with_inputs(upstream.commit(), clip={"kind": "vidio"}), clips, items, tmp_path)
