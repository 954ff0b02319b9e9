"""What upstream's code can do wrong costs its own clips, each with a word that says what it was; never a number."""

import dataclasses
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from chdtf import media

OUT = "import os, pathlib, shutil, sys\npathlib.Path('made').mkdir()\n"
COPY = OUT + "shutil.copyfile(sys.argv[1], 'made/out.mp4')\n"


def test_upstream_s_own_command_makes_the_videos(upstream: Any):
    for item, made in zip(upstream.items, upstream.run(upstream.commit(COPY)), strict=True):
        assert made.reason is None
        assert made.path.read_bytes() == item.video.read_bytes()
        assert 0 < made.generation_s < 20


def test_a_second_run_makes_nothing_and_a_touched_weight_everything(upstream: Any):
    method = upstream.commit(COPY)
    upstream.run(method)
    assert all(made.seconds == 0 for made in upstream.run(method))
    before = [path.stat().st_mtime_ns for path in sorted(upstream.out.glob("*.mp4"))]
    (upstream.home / "odd" / "weights.json").unlink()  # what was trusted is forgotten
    upstream.weight.write_text("other weights")
    assert all(made.seconds > 0 for made in upstream.run(method))
    after = [path.stat().st_mtime_ns for path in sorted(upstream.out.glob("*.mp4"))]
    assert all(new > old for new, old in zip(after, before, strict=True))


def test_what_is_said_of_a_method_does_not_make_its_videos_anew(upstream: Any):
    method = upstream.commit(COPY)
    changed = dataclasses.replace(method, notes="x", label="Y", panel=(0, 0, 8, 8), deviations=("z",), timeout_s=7)
    assert changed.fingerprint() == method.fingerprint()
    assert dataclasses.replace(method, seed="fixed").fingerprint() != method.fingerprint()


def test_the_checkout_the_weights_and_the_inputs_stay_as_they_are_whatever_is_written_beside_them(upstream: Any):
    code = """
    import pathlib, shutil, sys
    pathlib.Path('made').mkdir()
    shutil.copyfile(sys.argv[1], 'made/out.mp4')
    pathlib.Path('make.py').write_text('mine')
    pathlib.Path(sys.argv[1]).write_bytes(b'mine')
    pathlib.Path('checkpoints/more.bin').write_bytes(b'mine')
    pathlib.Path(pathlib.Path.home(), 'cache').write_bytes(b'mine')
    """
    videos = [item.video.read_bytes() for item in upstream.items]
    assert upstream.reasons(code) == [None, None]
    assert upstream.git("status", "--porcelain") == ""
    assert upstream.weight.read_text() == "weights"
    assert [path.name for path in upstream.weight.parent.iterdir()] == ["net.bin"]
    assert [item.video.read_bytes() for item in upstream.items] == videos
    assert not (Path.home() / "cache").exists()


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("print('all done')", "no_output: it ended well and wrote no made/*.mp4; its last words: all done"),
        (COPY + "shutil.copyfile(sys.argv[1], 'made/other.mp4')", "two_outputs: 2 files match made/*.mp4"),
        (COPY + "sys.exit('no luck')", "failed: exit status 1: no luck"),
        (OUT + "open('made/out.mp4', 'w').write('nothing')", "unreadable"),
        ("raise RuntimeError('CUDA out of memory')", "out_of_memory: exit status 1"),
        ("import urllib.request as u; u.urlopen('http://example.org/weights')", "needs_network: exit status 1"),
        ("import urllib.request as u; u.urlopen('https://example.org/weights')", "needs_network: exit status 1"),
        ("import os; os.kill(os.getpid(), 9)", "failed: exit status -9"),
    ],
)
def test_each_failure_has_its_word(upstream: Any, code: str, reason: str):
    for said in upstream.reasons(code):
        assert said is not None
        assert reason in said
    assert not list(upstream.out.glob("*.json.*"))


def test_frames_that_are_nan_are_found(upstream: Any):
    code = """
    import sys
    import numpy as np
    from pathlib import Path
    from chdtf import media
    frames = media.read_frames(Path(sys.argv[1])).astype(np.float32)
    frames[3:5] = np.nan
    with np.errstate(invalid='ignore'):
        media.write_video(Path('made/out.mp4'), frames.astype(np.uint8), None)
    """
    for reason in upstream.reasons(code):
        assert reason == "blank_frames: 2 of 10 frames are of one colour, as NaN is when it is written"


def test_a_video_that_stops_too_early_and_one_without_its_panel_are_found(upstream: Any):
    short = """
    import sys
    from pathlib import Path
    from chdtf import media
    media.write_video(Path('made/out.mp4'), media.read_frames(Path(sys.argv[1]))[:7], None)
    """
    first, second = upstream.items
    upstream.items = [dataclasses.replace(first, num_frames=19), dataclasses.replace(second, num_frames=20)]
    assert upstream.reasons(short) == [None, "too_short: 0.28 s of 0.80 s (7 frames at 25 fps)"]
    upstream.items = [first, second]
    wide = upstream.reasons(COPY, panel=(64, 0, 64, 64))
    assert wide == ["wrong_size: the frame is 64x64, the face should be at 64,0 with 64x64 px"] * 2


@pytest.mark.parametrize("where", ["checkout", "weights", "inputs"])
def test_what_writes_outside_its_folder_gets_no_number(upstream: Any, where: str):
    places = {
        "checkout": upstream.checkout / "trace.txt",
        "weights": upstream.weight,
        "inputs": upstream.items[1].audio,
    }
    code = COPY + f"open({str(places[where])!r}, 'a').write('mine')\n"
    for reason in upstream.reasons(code):
        assert reason == f"wrote_outside: 1 files, such as {places[where]}"
    assert not list(upstream.out.glob("*_000.json"))


def test_a_hundred_megabytes_of_log_become_one(upstream: Any):
    code = COPY + "for number in range(1600):\n    print('x' * 65536)\nprint('the last words')\nsys.exit(3)\n"
    for item, reason in zip(upstream.items, upstream.reasons(code), strict=True):
        assert reason == "failed: exit status 3: the last words"
        log = (upstream.out / f"{item.clip_id}.log").read_bytes()
        assert len(log) < 1.2e6
        assert b"bytes left out" in log


def test_a_hung_method_is_stopped_with_children_that_left_its_group_and_the_next_clip_is_tried(upstream: Any):
    code = COPY + (
        "import subprocess, time\n"
        f"mark = pathlib.Path({str(upstream.home)!r}, 'pids')\n"
        "if sys.argv[2] == '0':\n"
        "    child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], start_new_session=True)\n"
        "    mark.write_text(f'{os.getpid()} {child.pid}')\n"
        "    time.sleep(60)\n"
    )
    started = time.monotonic()
    hung, next_one = upstream.run(upstream.commit(code, timeout_s=3))
    assert time.monotonic() - started < 20
    assert "timed out after 3 s" in hung.reason
    assert next_one.reason is None
    for number in (upstream.home / "pids").read_text().split():
        assert not _is_alive(int(number))


def test_what_a_killed_run_left_alive_is_stopped_before_the_next_one(upstream: Any):
    mark = _mark(upstream)
    orphan = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], env={**os.environ, **mark})
    assert upstream.reasons(COPY) == [None, None]
    assert orphan.wait(timeout=10) < 0


def _mark(upstream: Any) -> dict[str, str]:
    """What a driver of this folder carries in its environment, as a driver sees it."""
    code = OUT + f"pathlib.Path({str(upstream.home)!r}, 'mark').write_text(os.environ['DISENTBENCH_JOB'])\n"
    upstream.reasons(code)
    return {"DISENTBENCH_JOB": (upstream.home / "mark").read_text()}


def _is_alive(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False


def test_a_driver_that_cannot_start_is_not_started_for_every_clip(upstream: Any, make_items: Any):
    method = upstream.commit(COPY)
    upstream.items = make_items(6)
    starts = upstream.home / "starts"
    (upstream.folder / "odd" / "drive.py").write_text(
        f"open({str(starts)!r}, 'a').write('x'); raise ValueError('broken')"
    )
    reasons = [made.reason for made in upstream.run(method)]
    assert len(starts.read_text()) == 2
    assert all("ValueError: broken" in str(reason) for reason in reasons)


def test_a_folder_that_shell_lines_cannot_name_is_refused(
    upstream: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    from chdtf.errors import UserError

    odd = tmp_path / "with space"
    odd.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(odd))
    with pytest.raises(UserError, match="set TMPDIR to a plain one"):
        upstream.run(upstream.commit(COPY))


def test_what_ran_is_told_to_the_driver_and_kept(upstream: Any):
    method = upstream.commit(COPY)
    upstream.run(method)
    job = json.loads((upstream.out / "job.json").read_text())
    assert job["weights_origin"] == "supplied"
    assert job["command"] == list(method.wrapped.run.command)
    assert job["environment"]["HF_HUB_OFFLINE"] == "1"
    account = upstream.examine(method).account()
    assert account["revision"] == method.revision
    assert set(account["weights"]) == {"checkpoints/net.bin"}
    side = json.loads((upstream.out / "clip0_000.json").read_text())
    assert side["generation_s"] > 0
    assert media.probe(upstream.out / "clip0_000.mp4").fps == 25
    assert "DISENTBENCH_JOB" not in os.environ
