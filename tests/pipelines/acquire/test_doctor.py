"""What the doctor finds, on machines that lack one thing or another."""

import datetime
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from benchmark.cli import main
from chdtf.errors import UserError
from pipelines.acquire import doctor
from pipelines.acquire.fetch import Network

YOUTUBE = "https://youtu.be/dQw4w9WgXcQ"
TODAY = datetime.date(2026, 11, 20)
Programs = Callable[..., None]


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    """Lets exactly the given programs be found, each saying its version."""
    import yt_dlp.utils._jsruntime as jsruntime

    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(jsruntime, "_find_exe", lambda name: str(folder / name))

    def install(**said: str) -> None:
        for name, text in said.items():
            (folder / name).write_text(f"#!/bin/sh\necho '{text}'\n")
            (folder / name).chmod(0o755)

    return install


@pytest.fixture
def versions(monkeypatch: pytest.MonkeyPatch) -> dict[str, str | None]:
    """Versions of packages to pretend; None: not installed."""
    pretended: dict[str, str | None] = {"yt-dlp": "2026.11.01", "yt-dlp-ejs": "0.8.0"}
    found = metadata.version

    def version(name: str) -> str:
        if name not in pretended:
            return found(name)
        if pretended[name] is None:
            raise metadata.PackageNotFoundError(name)
        return str(pretended[name])

    monkeypatch.setattr(doctor.metadata, "version", version)
    wanted = metadata.requires
    told = ["yt-dlp-ejs==0.8.0; extra == 'default'"]
    monkeypatch.setattr(doctor.metadata, "requires", lambda name: told if name == "yt-dlp" else wanted(name))
    return pretended


@pytest.mark.parametrize(
    ("said", "state", "found"),
    [
        ({}, "missing", "deno not found, node not found, quickjs not found, bun not found"),
        ({"node": "v20.9.0"}, "old", "node 20.9.0 is older than"),
        ({"node": "v99.1.0"}, "ok", "node 99.1.0 (used)"),
        ({"node": "v99.1.0", "deno": "deno 99.2.0 (release)"}, "ok", "deno 99.2.0 (used), node 99.1.0,"),
        ({"qjs": "QuickJS version 2099-01-01"}, "ok", "quickjs 2099-01-01 (used)"),
    ],
)
@pytest.mark.usefixtures("versions")
def test_the_javascript_runtime_that_yt_dlp_would_use(programs: Programs, said: dict[str, str], state: str, found: str):
    programs(**said)
    check = doctor.javascript(needed=True)[0]
    assert check.state == state
    assert found in check.found
    assert check.is_fatal is (state != "ok")
    assert bool(check.remedy) is (state != "ok")


def test_a_build_from_youtube_is_warned_and_one_from_elsewhere_is_not(programs: Programs, versions: dict[str, Any]):
    programs()
    warnings = doctor.preflight(["file:a.mp4", "https://v.example/a.mp4", YOUTUBE], today=TODAY)
    assert len(warnings) == 1
    assert warnings[0].startswith("JavaScript: deno not found")
    assert "pip install" in warnings[0]
    assert doctor.preflight(["file:a.mp4", "https://v.example/a.mp4"], today=TODAY) == []
    programs(deno="deno 99.0.0")
    assert doctor.preflight([YOUTUBE], today=TODAY) == []
    versions["yt-dlp-ejs"] = None
    assert "yt-dlp[default]" in doctor.preflight([YOUTUBE], today=TODAY)[0]
    versions["yt-dlp-ejs"] = "0.3.1"
    assert "0.3.1, wanted ==0.8.0" in doctor.preflight([YOUTUBE], today=TODAY)[0]


def test_an_old_yt_dlp_is_told_by_its_age(versions: dict[str, Any]):
    assert doctor.yt_dlp_age(TODAY).state == "ok"
    later = doctor.yt_dlp_age(datetime.date(2027, 3, 1))
    assert (later.state, later.found) == ("old", "2026.11.01, 120 days old")
    assert not later.is_fatal
    assert doctor.preflight(["https://v.example/a"], today=datetime.date(2027, 3, 1)) != []
    assert doctor.preflight(["file:a.mp4"], today=datetime.date(2027, 3, 1)) == []
    versions["yt-dlp"] = None
    assert doctor.yt_dlp_age(TODAY).is_fatal


def test_packages_are_held_against_their_ranges(versions: dict[str, Any]):
    versions["numpy"] = "2.1.0"
    old = doctor.package(Requirement("numpy>=1.26,<2"), "x", True)
    assert (old.state, old.is_fatal, old.remedy) == ("old", True, 'pip install "numpy<2,>=1.26"')
    versions["numpy"] = None
    assert doctor.package(Requirement("numpy"), "x", True).state == "missing"
    assert [one.name for one in doctor.packages() if one.is_fatal] == ["numpy"]


def test_cookies_are_looked_into(tmp_path: Path):
    good, bad = tmp_path / "cookies.txt", tmp_path / "cookies.json"
    good.write_text("# Netscape HTTP Cookie File\n")
    bad.write_text("{}")
    assert doctor.cookies(Network(cookies=str(good))).state == "ok"
    assert doctor.cookies(Network(cookies=str(bad))).is_fatal
    assert doctor.cookies(Network(cookies=str(tmp_path / "none"))).is_fatal
    assert doctor.cookies(Network(cookies_from_browser="firefox")).found == "from firefox"
    with pytest.raises(UserError, match="Netscape"):
        doctor.preflight([YOUTUBE], Network(cookies=str(bad)))


def test_a_full_disk_is_needed_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import shutil

    for free, state, fatal in ((1 << 40, "ok", False), (5 << 30, "low", False), (1 << 20, "low", True)):
        monkeypatch.setattr(shutil, "disk_usage", lambda _, free=free: shutil._ntuple_diskusage(1 << 41, 0, free))
        check = doctor.disk(tmp_path / "not" / "yet")
        assert (check.state, check.is_fatal) == (state, fatal)
        assert str(tmp_path) in check.found


def test_an_address_is_asked_about_and_not_downloaded(server: Any, video: Path):
    server.add("/talk.mp4", video.read_bytes())
    allowed = Network(allow_local=True)
    assert doctor.address(server.url("/talk.mp4"), allowed).state == "ok"
    assert len(server.asked) == 1
    gone = doctor.address(server.url("/none.mp4"), allowed)
    assert (gone.found, gone.remedy, gone.is_fatal) == ("gone", "the server answers 404", True)
    assert doctor.address(server.url("/talk.mp4"), Network()).found == "private_address"


@pytest.mark.usefixtures("versions")
def test_the_verb_says_what_is_missing_and_how_to_get_it(
    programs: Programs, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("DISENTBENCH_WEIGHTS", str(tmp_path))
    manifest = tmp_path / "list.csv"
    manifest.write_text(f"video_id,url,speaker_id,language,license\na,{YOUTUBE},s,en,unknown\n")
    programs()
    assert main(["doctor"]) == 0  # for local files all is there
    assert "All that is needed is there." in capsys.readouterr().out
    assert main(["doctor", "--manifest", str(manifest)]) == 1
    said = capsys.readouterr().out
    assert "Needed and not there: JavaScript" in said
    assert 'pip install "yt-dlp[default,deno]"' in said
    assert "disentbench weights fetch syncnet_v2" in said
    programs(deno="deno 99.0.0")
    assert main(["doctor", "--manifest", str(manifest)]) == 0
