"""The download stage against a server on this machine, through the real yt-dlp, and against local files."""

import contextlib
import errno
import hashlib
import http.server
import os
import re
import shutil
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from chdtf.columns import Row, table_from_rows
from chdtf.errors import DiskFullError, Reject, Transient, is_disk_full
from chdtf.manifest import ManifestRow, file_url
from chdtf.media import probe, write_video
from chdtf.schema import MANIFEST, OUTCOME
from chdtf.shards import Workspace, config_fingerprint, extended_schema, read_shard, run_shard, write_shard
from pipelines.fetch import clean
from pipelines.stages.download import Stage

PATIENCE = {"timeout_s": 2.0, "retries": 0}


def noise(width: int, height: int, frames: int) -> list[np.ndarray]:
    generator = np.random.default_rng(width)
    return list(generator.integers(0, 256, (frames, height, width, 3), np.uint8))


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy of the machine would stand between yt-dlp and the server of these tests."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("video") / "talk.mp4"
    write_video(path, noise(96, 64, 25), np.zeros(16_000, np.float32))
    return path


class Server:
    """What to answer for which path, and what was asked."""

    def __init__(self) -> None:
        self.files: dict[str, tuple[bytes, str]] = {}
        self.answers: dict[str, Callable[[http.server.BaseHTTPRequestHandler], None]] = {}
        self.asked: list[tuple[str, str | None]] = []  # path, Range
        self.port = 0

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def add(self, path: str, data: bytes, kind: str = "video/mp4") -> str:
        self.files[path] = (data, kind)
        return self.url(path)

    def answer(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        wanted = handler.headers.get("Range")
        self.asked.append((handler.path, wanted))
        if handler.path in self.answers:
            self.answers[handler.path](handler)
            return
        if handler.path not in self.files:
            handler.send_error(404)
            return
        data, kind = self.files[handler.path]
        begin = int(re.fullmatch(r"bytes=(\d+)-(\d*)", wanted)[1]) if wanted else 0
        handler.send_response(206 if wanted else 200)
        if wanted:
            handler.send_header("Content-Range", f"bytes {begin}-{len(data) - 1}/{len(data)}")
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(data) - begin))
        handler.end_headers()
        handler.wfile.write(data[begin:])


@pytest.fixture
def server() -> Iterator[Server]:
    script = Server()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None: ...

        def do_GET(self) -> None:
            with contextlib.suppress(ConnectionError):
                script.answer(self)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listener:
        listener.daemon_threads = True
        script.port = listener.server_port
        thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield script
        listener.shutdown()


def cut_off(data: bytes, at: int) -> Callable[[http.server.BaseHTTPRequestHandler], None]:
    """Promise all of `data`, close the connection after `at` bytes."""

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "video/mp4")
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data[:at])
        handler.close_connection = True

    return answer


def redirect(to: str) -> Callable[[http.server.BaseHTTPRequestHandler], None]:
    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(302)
        handler.send_header("Location", to)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def row(url: str, **more: Any) -> Row:
    return {**ManifestRow("clip", url, speaker_id="s").as_row(), "clip_id": "clip", **more}


def space(root: Path, stage: Stage) -> Workspace:
    return Workspace(root, stage.name, config_fingerprint(stage))


def apply(root: Path, one: Row, **settings: Any) -> Row:
    stage = Stage(**{**PATIENCE, **settings})
    (done,) = stage.apply(one, stage.load(), space(root, stage))
    return done


def media(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


def test_a_direct_link_arrives_byte_for_byte_with_what_its_container_says(tmp_path: Path, video: Path, server: Server):
    data = video.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    done = apply(tmp_path, row(server.add("/talk.mp4", data), sha256=digest.upper()))
    assert (tmp_path / done["source"]).read_bytes() == data
    assert done["source_sha256"] == digest
    assert (done["source_width"], done["source_height"], done["source_fps"]) == (96, 64, 25)
    assert done["source_duration_s"] == pytest.approx(1.0, abs=0.1)
    assert (done["source_codec"], done["source_audio_codec"], done["source_bytes"]) == ("h264", "aac", len(data))
    assert media(tmp_path) == [done["source"]]
    assert set(Stage.adds.names) <= set(done)


def test_a_finished_download_is_not_asked_for_again_and_a_changed_address_is(
    tmp_path: Path, video: Path, server: Server
):
    url = server.add("/talk.mp4", video.read_bytes())
    first = apply(tmp_path, row(url))
    asked = len(server.asked)
    assert apply(tmp_path, row(url)) == first
    assert len(server.asked) == asked
    other = server.add("/other.mp4", video.read_bytes() + b"\0\0\0\x08free")
    assert apply(tmp_path, row(other))["source_sha256"] != first["source_sha256"]


def test_nothing_but_the_server_is_contacted(
    tmp_path: Path, video: Path, server: Server, monkeypatch: pytest.MonkeyPatch
):
    reached: set[Any] = set()
    looked_up: set[Any] = set()
    connect, look_up = socket.socket.connect, socket.getaddrinfo

    def spy(self: socket.socket, address: Any) -> None:
        reached.add(address)
        connect(self, address)

    def spy_names(host: Any, *rest: Any, **more: Any) -> Any:
        looked_up.add(host)
        return look_up(host, *rest, **more)

    monkeypatch.setattr(socket.socket, "connect", spy)
    monkeypatch.setattr(socket, "getaddrinfo", spy_names)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    apply(tmp_path / "out", row(server.add("/talk.mp4", video.read_bytes())))
    assert reached == {("127.0.0.1", server.port)}
    assert looked_up <= {"127.0.0.1"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]  # no cache, no configuration


@pytest.mark.parametrize("status", [404, 410, 451])
def test_what_is_gone_is_rejected(tmp_path: Path, server: Server, status: int):
    server.answers["/x.mp4"] = lambda handler: handler.send_error(status)
    with pytest.raises(Reject) as caught:
        apply(tmp_path, row(server.url("/x.mp4")))
    assert (caught.value.reason, caught.value.detail) == ("gone", f"the server answers {status}")
    assert list((tmp_path / "work/media/download").iterdir()) == []


@pytest.mark.parametrize(
    ("status", "words"), [(401, "login"), (403, "refuses"), (429, "too many requests"), (500, "error"), (503, "error")]
)
def test_what_may_pass_is_transient_and_told_in_one_line(tmp_path: Path, server: Server, status: int, words: str):
    server.answers["/x.mp4"] = lambda handler: handler.send_error(status)
    with pytest.raises(
        Transient, match=rf"^the server answers {status}: .*{words}.*; run the same command again later$"
    ):
        apply(tmp_path, row(server.url("/x.mp4")))


def test_a_server_error_is_tried_again_within_the_run(
    tmp_path: Path, video: Path, server: Server, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("pipelines.fetch._pause_s", lambda n: 0.0)
    data = video.read_bytes()
    url = server.add("/talk.mp4", data)
    failures = iter([False, True, True])  # the page, then two tries of the download

    def sometimes(handler: http.server.BaseHTTPRequestHandler) -> None:
        if next(failures, False):
            handler.send_error(503)
        else:
            del_answer = server.answers.pop("/talk.mp4")
            server.asked.pop()
            server.answer(handler)
            server.answers["/talk.mp4"] = del_answer

    server.answers["/talk.mp4"] = sometimes
    done = apply(tmp_path, row(url), retries=3)
    assert (tmp_path / done["source"]).read_bytes() == data


def test_nobody_listening_is_transient(tmp_path: Path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(Transient, match=r"^the download failed \(.*[Rr]efused\); run the same command again$"):
        apply(tmp_path, row(f"http://127.0.0.1:{port}/x.mp4"))


def test_a_silent_server_is_transient(tmp_path: Path, server: Server):
    released = threading.Event()
    server.answers["/x.mp4"] = lambda handler: released.wait(10) and None
    with pytest.raises(Transient, match="timed out"):
        apply(tmp_path, row(server.url("/x.mp4")), timeout_s=0.2)
    released.set()


def test_a_download_that_takes_too_long_ends(tmp_path: Path, video: Path, server: Server):
    with pytest.raises(Transient, match="longer than 0 s"):
        apply(tmp_path, row(server.add("/talk.mp4", video.read_bytes())), deadline_s=0.0)


def test_a_dropped_connection_is_transient_and_the_next_run_goes_on_where_it_ended(
    tmp_path: Path, video: Path, server: Server
):
    data = video.read_bytes()
    half = len(data) // 2
    url = server.add("/talk.mp4", data)
    server.answers["/talk.mp4"] = cut_off(data, half)
    with pytest.raises(Transient, match=rf"Downloaded {half} bytes, expected {len(data)} bytes"):
        apply(tmp_path, row(url))
    (part,) = media(tmp_path)
    assert part.endswith(".part")

    server.answers.clear()
    server.asked.clear()
    done = apply(tmp_path, row(url))
    assert ("/talk.mp4", f"bytes={half}-") in server.asked
    assert (tmp_path / done["source"]).read_bytes() == data
    assert media(tmp_path) == [done["source"]]


def test_a_server_that_cannot_go_on_sends_the_whole_again(tmp_path: Path, video: Path, server: Server):
    data = video.read_bytes()
    url = server.url("/talk.mp4")
    server.answers["/talk.mp4"] = cut_off(data, 1000)
    with pytest.raises(Transient):
        apply(tmp_path, row(url))
    server.answers["/talk.mp4"] = cut_off(data, len(data))  # answers 200 and everything, whatever range is asked for
    assert (tmp_path / apply(tmp_path, row(url))["source"]).read_bytes() == data
    assert server.asked[-1][1] == "bytes=1000-"


def test_a_source_that_changed_between_two_halves_is_downloaded_again_whole(
    tmp_path: Path, video: Path, server: Server
):
    data = video.read_bytes()
    url = server.add("/talk.mp4", data)
    server.answers["/talk.mp4"] = cut_off(b"\xff" * len(data), 1000)
    with pytest.raises(Transient):
        apply(tmp_path, row(url))
    server.answers.clear()
    done = apply(tmp_path, row(url, sha256=hashlib.sha256(data).hexdigest()))
    assert (tmp_path / done["source"]).read_bytes() == data


def test_an_empty_answer_is_transient(tmp_path: Path, server: Server):
    with pytest.raises(Transient, match="the server sent nothing"):
        apply(tmp_path, row(server.add("/x.mp4", b"")))


@pytest.mark.parametrize("data", [b"no video at all" * 100, None])
def test_what_arrives_whole_but_is_no_video_is_rejected(
    tmp_path: Path, video: Path, server: Server, data: bytes | None
):
    broken = data or video.read_bytes()[:400]
    with pytest.raises(Reject) as caught:
        apply(tmp_path, row(server.add("/talk.mp4", broken)))
    assert caught.value.reason == "unreadable"
    assert caught.value.detail.endswith(f" ({len(broken)} bytes; cut off, or not a video)")
    assert ".mp4" not in caught.value.detail


def test_a_wrong_hash_is_rejected_with_both(tmp_path: Path, video: Path, server: Server):
    digest = hashlib.sha256(video.read_bytes()).hexdigest()
    with pytest.raises(Reject, match=rf"hash_mismatch: the manifest says {'0' * 64}, the file has {digest}"):
        apply(tmp_path, row(server.add("/talk.mp4", video.read_bytes()), sha256="0" * 64))


def test_a_download_larger_than_allowed_is_rejected_and_leaves_nothing(tmp_path: Path, video: Path, server: Server):
    with pytest.raises(Reject, match=r"too_large: \d+ bytes, the limit is 1000"):
        apply(tmp_path, row(server.add("/talk.mp4", video.read_bytes())), max_bytes=1000)
    assert media(tmp_path) == []


@pytest.mark.parametrize(
    "page",
    [
        '<meta http-equiv="refresh" content="0; url={}">',
        '<body><video src="{}"></video></body>',
        '<head><meta property="og:video" content="{}"></head>',
    ],
)
def test_a_page_cannot_lead_to_a_local_file(tmp_path: Path, video: Path, server: Server, page: str):
    html = f"<html><title>t</title>{page.format(file_url(video))}</html>"
    with pytest.raises(Reject):
        apply(tmp_path, row(server.add("/page", html.encode(), "text/html")), allow_local=True)
    assert media(tmp_path) == []


def test_a_redirect_cannot_lead_to_a_local_file_and_one_within_the_web_works(
    tmp_path: Path, video: Path, server: Server
):
    server.answers["/local"] = redirect(file_url(video))
    with pytest.raises(Reject, match="bad_redirect"):
        apply(tmp_path, row(server.url("/local")), allow_local=True)
    server.answers["/moved"] = redirect("/talk.mp4")
    server.add("/talk.mp4", video.read_bytes())
    done = apply(tmp_path, row(server.url("/moved")))
    assert (tmp_path / done["source"]).read_bytes() == video.read_bytes()


def test_a_page_without_a_video_and_one_with_several_are_rejected(tmp_path: Path, video: Path, server: Server):
    server.add("/a.mp4", video.read_bytes())
    url = server.add("/none", b"<html><title>t</title>hello</html>", "text/html")
    with pytest.raises(Reject, match="not_a_video: no video behind"):
        apply(tmp_path, row(url))
    two = b'<html><title>t</title><video src="/a.mp4"></video><video src="/b.mp4"></video></html>'
    with pytest.raises(Reject, match="not_a_video: the address leads to a list"):
        apply(tmp_path, row(server.add("/two", two, "text/html")))
    assert media(tmp_path) == []
    assert {path for path, _ in server.asked} == {"/none", "/two"}


def test_no_title_or_file_name_of_the_page_becomes_part_of_a_path(tmp_path: Path, video: Path, server: Server):
    root = tmp_path / "100% $HOME ~ %(title)s"
    server.add("/..%2F..%2Fevil%00.mp4", video.read_bytes())
    html = b'<html><title>../../evil $(touch x)</title><video src="/..%2F..%2Fevil%00.mp4"></video></html>'
    done = apply(root, row(server.add("/page", html, "text/html")))
    assert re.fullmatch(r"work/media/download/clip\.[0-9a-f]{8}\.[0-9a-f]{8}\.mp4", done["source"])
    assert media(tmp_path) == [f"{root.name}/{done['source']}"]


def write_sound(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16_000, layout="mono")
        for begin in range(0, 16_000, 1000):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1000), np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 16_000, begin
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def dash(tmp_path: Path, server: Server, heights: list[int]) -> str:
    """A DASH manifest of one soundless video per height, and a separate sound."""
    sets = []
    for height in heights:
        write_video(tmp_path / "v.mp4", noise(height * 2, height, 10))
        server.add(f"/v{height}.mp4", (tmp_path / "v.mp4").read_bytes())
        sets.append(
            f'<AdaptationSet mimeType="video/mp4"><Representation id="../v{height}" codecs="avc1.4d401e"'
            f' bandwidth="{height}" width="{height * 2}" height="{height}">'
            f"<BaseURL>v{height}.mp4</BaseURL></Representation></AdaptationSet>"
        )
    write_sound(tmp_path / "s.m4a")
    server.add("/s.m4a", (tmp_path / "s.m4a").read_bytes())
    sets.append(
        '<AdaptationSet mimeType="audio/mp4"><Representation id="s" codecs="mp4a.40.2" bandwidth="1">'
        "<BaseURL>s.m4a</BaseURL></Representation></AdaptationSet>"
    )
    head = '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static">'
    text = f"{head}<Period>{''.join(sets)}</Period></MPD>"
    return server.add("/talk.mpd", text.encode(), "application/dash+xml")


def test_the_best_picture_within_the_limit_is_joined_with_the_sound_without_a_system_ffmpeg(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    url = dash(tmp_path, server, [48, 96, 144])
    done = apply(tmp_path / "out", row(url), max_height=100)
    assert (done["source_height"], done["source_audio_codec"]) == (96, "aac")
    assert not any(path in ("/v48.mp4", "/v144.mp4") for path, _ in server.asked)
    assert media(tmp_path / "out") == [done["source"]]


def test_above_the_limit_the_smallest_is_taken(tmp_path: Path, server: Server):
    done = apply(tmp_path / "out", row(dash(tmp_path, server, [96, 144])), max_height=50)
    assert done["source_height"] == 96


def test_sound_alone_is_rejected(tmp_path: Path, server: Server):
    with pytest.raises(Reject, match="unreadable: no video stream"):
        apply(tmp_path / "out", row(dash(tmp_path, server, [])))


def test_a_stream_with_a_missing_piece_is_not_taken_for_whole_until_the_piece_is_there(tmp_path: Path, server: Server):
    lines = ["#EXTM3U", "#EXT-X-TARGETDURATION:1"]
    for index in range(3):
        with av.open(str(tmp_path / f"{index}.ts"), "w", format="mpegts") as container:
            stream = container.add_stream("libx264", rate=25)
            stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
            for number, image in enumerate(noise(96, 64, 25)):
                frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p")
                frame.pts = index * 25 + number
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        server.add(f"/{index}.ts", (tmp_path / f"{index}.ts").read_bytes(), "video/mp2t")
        lines += ["#EXTINF:1.0,", f"{index}.ts"]
    playlist = "\n".join([*lines, "#EXT-X-ENDLIST", ""])
    url = server.add("/talk.m3u8", playlist.encode(), "application/vnd.apple.mpegurl")
    server.answers["/1.ts"] = lambda handler: handler.send_error(503)
    with pytest.raises(Transient, match="503"):
        apply(tmp_path / "out", row(url))
    server.answers.clear()
    done = apply(tmp_path / "out", row(url))
    assert done["source_duration_s"] == pytest.approx(3.0, abs=0.1)
    assert media(tmp_path / "out") == [done["source"]]
    assert [path for path, _ in server.asked].count("/0.ts") == 1  # what was there was not asked for again


def test_a_full_disk_surfaces(tmp_path: Path, video: Path, server: Server):
    stage = Stage(**PATIENCE)
    url = server.add("/talk.mp4", video.read_bytes())
    workspace = space(tmp_path, stage)
    partial = workspace.file(f"clip.{hashlib.sha256(url.encode()).hexdigest()[:8]}", ".partial")
    partial.mkdir()
    (partial / "media.mp4.part").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left") as caught:
        list(stage.apply(row(url), stage.load(), workspace))
    assert is_disk_full(caught.value)


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
    with pytest.raises(Transient, match=r"^file:no.mp4: cannot be read \(No such file or directory\)"):
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


def test_only_what_changes_the_result_is_in_the_fingerprint():
    base = config_fingerprint(Stage())
    assert config_fingerprint(Stage(manifest_folder="/x", timeout_s=1, deadline_s=1, retries=0)) == base
    for settings in ({"allow_local": True}, {"max_height": 720}, {"max_bytes": 1}):
        assert config_fingerprint(Stage(**settings)) != base


def shard(folder: Path, urls: dict[str, str]) -> Path:
    """The input of the first stage: one row per address."""
    rows = [{**ManifestRow(name, url, speaker_id=name).as_row(), "clip_id": name} for name, url in urls.items()]
    write_shard(table_from_rows(rows, extended_schema(MANIFEST, OUTCOME)), folder / "in.parquet", "x")
    return folder / "in.parquet"


def test_in_a_shard_every_row_ends_with_its_own_outcome(tmp_path: Path, video: Path, server: Server):
    server.answers["/busy.mp4"] = lambda handler: handler.send_error(503)
    urls = {
        "good": server.add("/talk.mp4", video.read_bytes()),
        "lost": server.url("/lost.mp4"),
        "busy": server.url("/busy.mp4"),
        "here": file_url(video),
    }
    source = shard(tmp_path, urls)
    stage = Stage(**PATIENCE)
    run_shard(stage, stage.load, source, tmp_path / "out.parquet", tmp_path)
    rows = {one["video_id"]: one for one in read_shard(tmp_path / "out.parquet").to_pylist()}
    assert probe(tmp_path / rows["good"]["source"]).width == 96
    assert rows["lost"]["reject"] == "gone: the server answers 404"
    assert rows["busy"]["error"].startswith("the server answers 503")
    assert rows["here"]["reject"].startswith("local_not_allowed: ")
    del server.answers["/busy.mp4"]
    server.add("/busy.mp4", video.read_bytes())
    asked = len(server.asked)
    run_shard(stage, stage.load, source, tmp_path / "out.parquet", tmp_path)
    rows = {one["video_id"]: one for one in read_shard(tmp_path / "out.parquet").to_pylist()}
    assert rows["busy"]["source_codec"] == "h264"
    assert {path for path, _ in server.asked[asked:]} == {"/busy.mp4"}


def test_a_full_disk_ends_the_run_with_a_line_for_the_user(
    tmp_path: Path, video: Path, monkeypatch: pytest.MonkeyPatch
):
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "link", full)
    monkeypatch.setattr(shutil, "copyfile", full)
    source = shard(tmp_path, {"a": file_url(video)})
    stage = Stage(allow_local=True)
    with pytest.raises(DiskFullError, match="no space left"):
        run_shard(stage, stage.load, source, tmp_path / "out.parquet", tmp_path)


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (
            "\x1b[0;31mERROR:\x1b[0m [youtube] abc: Private video. Sign in if you've been granted access to this video",
            "Private video. Sign in if you've been granted access to this video",
        ),
        ("ERROR: \r[download] Got error: 5 bytes read, 7 more expected", "5 bytes read, 7 more expected"),
        (
            "ERROR: [generic] x: Unable to\nread; please report this issue on  https://x.org/y , filling",
            "Unable to read",
        ),
        (
            "ERROR: [generic] x: HTTP Error 404: Not Found (caused by <HTTPError 404: Not Found>)",
            "HTTP Error 404: Not Found",
        ),
        ("a" * 500, "a" * 240 + "..."),
    ],
)
def test_messages_are_cleaned(said: str, shown: str):
    assert clean(said) == shown


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("[youtube] x: Private video. Sign in if you've been granted access", "gone"),
        ("[youtube] x: Video unavailable. This video has been removed by the uploader", "gone"),
        (
            "[youtube] x: This video is no longer available because the YouTube account associated has been terminated",
            "gone",
        ),
        ("[x] y: This video is DRM protected", "drm"),
        ("[youtube] x: Sign in to confirm you’re not a bot", None),
        ("ffmpeg not found. Please install or provide the path", None),
        ("[x] y: Unable to extract title; please report this issue on  https://x.org", None),
    ],
)
def test_what_sites_say_of_their_videos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, reason: str | None):
    import yt_dlp

    def fail(self: Any, url: str) -> None:
        self.report_error(said)

    monkeypatch.setattr(yt_dlp.YoutubeDL, "extract_info", fail)
    with pytest.raises(Reject if reason else Transient) as caught:
        apply(tmp_path, row("https://video.example/x"))
    assert getattr(caught.value, "reason", None) == reason
    assert "\n" not in str(caught.value)


def test_a_live_stream_is_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import yt_dlp
    from yt_dlp.extractor.generic import GenericIE

    assert issubclass(yt_dlp.YoutubeDL, object)
    live = {"id": "x", "title": "t", "url": "http://127.0.0.1:1/x.mp4", "ext": "mp4", "live_status": "is_live"}
    monkeypatch.setattr(GenericIE, "_real_extract", lambda self, url: live)
    with pytest.raises(Reject, match="live"):
        apply(tmp_path, row("http://127.0.0.1:1/x"))
