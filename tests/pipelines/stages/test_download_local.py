"""The download stage with files of this machine: linked or copied, never changed, read only when allowed."""

import errno
import os
import re
import shutil
import stat
from pathlib import Path
from typing import Any

import pytest

from chdtf.columns import Row
from chdtf.engine.stage import Workspace, applied, config_fingerprint
from chdtf.errors import DiskFullError, Reject, Transient
from chdtf.manifest import ManifestRow, file_url
from chdtf.tombstones import Tombstones
from pipelines.stages.download import Stage


def row(url: str) -> Row:
    return {**ManifestRow("clip", url, speaker_id="s").as_row(), "clip_id": "clip"}


def apply(root: Path, one: Row, **settings: Any) -> Row:
    stage = Stage(**settings)
    (done,) = stage.apply(one, stage.load(), Workspace(root, stage.name, config_fingerprint(stage)))
    return done


def media(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


NAMES = ["talk.mp4", "a b.mp4", "-rf.mp4", 'it\'s "x".mp4', "100% #1?.mp4", "张三 😀.MP4", "%(title)s $HOME.mp4"]


@pytest.mark.parametrize("name", NAMES)
def test_a_local_file_is_linked_whatever_its_name_and_not_changed(tmp_path: Path, video: Path, name: str):
    source = tmp_path / "in" / name
    source.parent.mkdir()
    shutil.copyfile(video, source)
    source.chmod(0o440)
    before = source.stat()
    done = apply(
        tmp_path / "out", row(file_url(source, source.parent)), allow_local=True, manifest_folder=str(source.parent)
    )
    target = tmp_path / "out" / done["source"]
    assert re.fullmatch(r"work/media/download/clip\.[0-9a-f]{8}\.mp4", done["source"])
    assert target.samefile(source)
    after = source.stat()
    assert (stat.S_IMODE(after.st_mode), after.st_mtime_ns, after.st_size) == (
        0o440,
        before.st_mtime_ns,
        before.st_size,
    )
    again = apply(tmp_path / "out", row(file_url(source)), allow_local=True)
    assert {**again, "url": done["url"]} == done
    assert media(tmp_path / "out") == [done["source"]]


def test_a_local_file_of_another_disk_is_copied(tmp_path: Path, video: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    done = apply(tmp_path, row(file_url(video)), allow_local=True)
    target = tmp_path / done["source"]
    assert target.read_bytes() == video.read_bytes()
    assert not target.samefile(video)
    assert media(tmp_path) == [done["source"]]


def test_a_link_to_a_local_file_is_followed(tmp_path: Path, video: Path):
    (tmp_path / "link.mp4").symlink_to(video)
    done = apply(tmp_path / "out", row(file_url(tmp_path / "link.mp4")), allow_local=True)
    assert not (tmp_path / "out" / done["source"]).is_symlink()


def test_local_files_are_read_only_when_allowed(tmp_path: Path, video: Path):
    with pytest.raises(Reject, match="local_not_allowed"):
        apply(tmp_path, row(file_url(video)))
    with pytest.raises(Reject, match="local_not_allowed"):
        apply(tmp_path, row(file_url(video).replace("file:", "FILE:")))
    assert media(tmp_path) == []


def test_a_missing_local_file_may_come_back_and_other_things_are_no_video(tmp_path: Path):
    with pytest.raises(
        Transient, match=r"^local_unreadable: file:no.mp4: cannot be read \(No such file or directory\)"
    ):
        apply(tmp_path, row("file:no.mp4"), allow_local=True, manifest_folder=str(tmp_path))
    (tmp_path / "folder.mp4").mkdir()
    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "empty.mp4").touch()
    for name, reason in {"folder.mp4": "unreadable", "pipe.mp4": "unreadable", "empty.mp4": "empty"}.items():
        with pytest.raises(Reject, match=f"^{reason}: "):
            apply(tmp_path / "out", row(f"file:{name}"), allow_local=True, manifest_folder=str(tmp_path))


def test_two_builds_in_different_places_give_the_same_rows(tmp_path: Path, video: Path):
    done = []
    for place in ("one", "two"):
        shutil.copytree(video.parent, tmp_path / place / "in")
        done.append(
            apply(
                tmp_path / place / "out",
                row(f"file:in/{video.name}"),
                allow_local=True,
                manifest_folder=str(tmp_path / place),
            )
        )
    assert done[0] == done[1]


def test_a_full_disk_ends_the_run_with_a_line_for_the_user(
    tmp_path: Path, video: Path, monkeypatch: pytest.MonkeyPatch
):
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "link", full)
    monkeypatch.setattr(shutil, "copyfile", full)
    stage = Stage(allow_local=True)
    with pytest.raises(DiskFullError):
        list(applied(stage, row(file_url(video)), stage.load, Workspace(tmp_path, stage.name, "x" * 64)))


def test_a_local_list_does_not_bring_other_files_in(tmp_path: Path, video: Path):
    listing = tmp_path / "talk.mp4"
    listing.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{video}\n#EXT-X-ENDLIST\n")
    with pytest.raises(Reject, match=r"unreadable: .*not a video"):
        apply(tmp_path / "out", row(file_url(listing)), allow_local=True)


def test_a_local_file_has_no_site_and_a_length(tmp_path: Path, video: Path):
    done = apply(tmp_path, row(file_url(video)), allow_local=True)
    assert [done[name] for name in ("title", "uploader", "site_license", "site_id")] == [None] * 4
    with pytest.raises(Reject, match="too_long"):
        apply(tmp_path, row(file_url(video)), allow_local=True, max_duration_s=0.5)


def test_a_file_keeps_the_site_that_a_lock_knows_it_by(tmp_path: Path, video: Path):
    """So that a withdrawn video is known in whatever copy, by every later stage and publication."""
    done = apply(tmp_path, {**row(file_url(video)), "site_id": "youtube:abcdefghijk"}, allow_local=True)
    assert done["site_id"] == "youtube:abcdefghijk"
    assert Tombstones.of("https://youtu.be/abcdefghijk").blocks(done)


def test_a_link_that_leads_to_itself_may_be_mended(tmp_path: Path):
    (tmp_path / "loop.mp4").symlink_to("loop.mp4")
    with pytest.raises(Transient, match=r"^local_unreadable: file:loop\.mp4: cannot be read"):
        apply(tmp_path / "out", row("file:loop.mp4"), allow_local=True, manifest_folder=str(tmp_path))


def test_a_file_that_may_not_be_read_is_not_linked(tmp_path: Path, video: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    url = file_url(video)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", refuse)
        with pytest.raises(Transient, match=r"local_unreadable: .*cannot be read \(Permission denied\)"):
            apply(tmp_path, row(url), allow_local=True)
    assert media(tmp_path) == []


def test_frames_that_take_gigabytes_are_refused(tmp_path: Path, video: Path):
    with pytest.raises(Reject, match="too_large: frames of 96x64 px, the limit is 6143 px"):
        apply(tmp_path, row(file_url(video)), allow_local=True, max_pixels=96 * 64 - 1)
    assert apply(tmp_path, row(file_url(video)), allow_local=True, max_pixels=96 * 64)["source_width"] == 96
