"""The download stage against a server on this machine that misbehaves, through the real yt-dlp."""

import concurrent.futures
import hashlib
import re
import socket
from email.utils import formatdate
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from chdtf.columns import Row
from chdtf.engine.stage import Workspace, applied, config_fingerprint, timeout_s
from chdtf.errors import Reject, Transient, UserError, is_disk_full
from chdtf.manifest import ManifestRow, file_url
from chdtf.media import write_video
from pipelines.stages.download import Stage, source_name

PATIENCE = {"silence_s": 2.0, "retries": 0}


def noise(width: int, height: int, frames: int) -> list[np.ndarray]:
    generator = np.random.default_rng(width)
    return list(generator.integers(0, 256, (frames, height, width, 3), np.uint8))


def row(url: str, **more: Any) -> Row:
    return {**ManifestRow("clip", url, speaker_id="s").as_row(), "clip_id": "clip", **more}


def space(root: Path, stage: Stage) -> Workspace:
    return Workspace(root, stage.name, config_fingerprint(stage))


def apply(root: Path, one: Row, **settings: Any) -> Row:
    stage = Stage(**{**PATIENCE, "allow_local": True, **settings})
    (done,) = stage.apply(one, stage.load(), space(root, stage))
    return done


def media(root: Path) -> list[str]:
    """All files but the notes of what the site said, and the locks of a run under way."""
    files = (path for path in root.rglob("*") if path.is_file() and path.suffix not in (".json", ".lock"))
    return sorted(path.relative_to(root).as_posix() for path in files)


@pytest.fixture
def no_pause(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Pauses between tries are noted, and not made."""
    paused: list[float] = []
    monkeypatch.setattr("pipelines.acquire.fetch._pause_s", lambda n: 0.0)
    monkeypatch.setattr("pipelines.acquire.fetch.time.sleep", paused.append)
    return paused


def test_a_direct_link_arrives_byte_for_byte_with_what_its_container_says(tmp_path: Path, video: Path, server: Any):
    data = video.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    done = apply(tmp_path, row(server.add("/talk.mp4", data), sha256=digest.upper()))
    assert (tmp_path / done["source"]).read_bytes() == data
    assert done["source_sha256"] == digest
    assert (done["source_width"], done["source_height"], done["source_fps"]) == (96, 64, 25)
    assert done["source_duration_s"] == pytest.approx(1.0, abs=0.1)
    assert (done["source_codec"], done["source_audio_codec"], done["source_bytes"]) == ("h264", "aac", len(data))
    assert done["source_bitrate_bps"] == pytest.approx(8 * len(data), rel=0.1)
    assert [done[name] for name in ("title", "uploader", "site_license", "site_id")] == [None] * 4
    assert media(tmp_path) == [done["source"]]
    assert set(Stage.adds.names) <= set(done)


def test_a_finished_download_is_not_asked_for_again_and_a_changed_address_is(tmp_path: Path, video: Path, server: Any):
    url = server.add("/talk.mp4", video.read_bytes())
    first = apply(tmp_path, row(url))
    asked = len(server.asked)
    assert apply(tmp_path, row(url)) == first
    assert len(server.asked) == asked
    other = server.add("/other.mp4", video.read_bytes() + b"\0\0\0\x08free")
    assert apply(tmp_path, row(other))["source_sha256"] != first["source_sha256"]


def test_a_file_whose_note_is_lost_is_downloaded_again_so_that_the_row_is_the_same(
    tmp_path: Path, video: Path, server: Any
):
    html = b'<html><title>t</title><meta property="og:title" content="A talk"><video src="/talk.mp4"></video></html>'
    server.add("/talk.mp4", video.read_bytes())
    one = row(server.add("/page", html, "text/html"))
    first = apply(tmp_path, one)
    assert first["title"]
    (note,) = tmp_path.rglob("*.site.json")
    assert apply(tmp_path, one) == first
    note.write_text("{")
    assert apply(tmp_path, one) == first


def test_nothing_but_the_server_is_contacted(tmp_path: Path, video: Path, server: Any, monkeypatch: pytest.MonkeyPatch):
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
def test_what_is_gone_is_rejected(tmp_path: Path, server: Any, status: int):
    with pytest.raises(Reject) as caught:
        apply(tmp_path, row(server.status("/x.mp4", status)))
    assert (caught.value.reason, caught.value.detail) == ("gone", f"the server answers {status}")
    assert list((tmp_path / "work/media/download").iterdir()) == []


@pytest.mark.parametrize(
    ("status", "word"),
    [(401, "needs_login"), (403, "forbidden"), (429, "rate_limited"), (500, "server_error"), (503, "server_error")],
)
def test_what_may_pass_is_transient_and_told_in_one_line(tmp_path: Path, server: Any, status: int, word: str):
    with pytest.raises(Transient, match=rf"^{word}: the server answers {status}: .*; [^\n]*$"):
        apply(tmp_path, row(server.status("/x.mp4", status)))


def test_a_server_error_is_tried_again_within_the_run(tmp_path: Path, video: Path, server: Any, no_pause: list[float]):
    data = video.read_bytes()
    server.add("/talk.mp4", data)
    done = apply(tmp_path, row(server.status("/talk.mp4", 503, times=2)), retries=3)
    assert (tmp_path / done["source"]).read_bytes() == data
    assert no_pause == [0.0, 0.0]


@pytest.mark.parametrize("how", ["seconds", "date"])
def test_too_many_requests_waits_as_long_as_the_server_asks(
    tmp_path: Path, video: Path, server: Any, no_pause: list[float], how: str
):
    server.add("/talk.mp4", video.read_bytes())
    asked = "7" if how == "seconds" else formatdate(__import__("time").time() + 7, usegmt=True)
    apply(tmp_path, row(server.status("/talk.mp4", 429, times=1, Retry_After=asked)), retries=1)
    assert no_pause == [pytest.approx(7, abs=1.5)]
    for asked, deadline_s in (("900", 3600), ("100", 60)):  # longer than a worker waits, or may: the next run's matter
        url = server.status("/talk.mp4", 429, Retry_After=asked)
        with pytest.raises(Transient, match="rate_limited"):
            apply(tmp_path / "b", row(url), retries=1, deadline_s=deadline_s)
    assert len(no_pause) == 1


def test_nobody_listening_is_transient(tmp_path: Path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(Transient, match=r"^network: .*[Rr]efused.*; run the same command again$"):
        apply(tmp_path, row(f"http://127.0.0.1:{port}/x.mp4"))


def test_a_silent_server_is_transient(tmp_path: Path, server: Any):
    with pytest.raises(Transient, match=r"^timed_out: "):
        apply(tmp_path, row(server.stall("/x.mp4")), silence_s=0.2)


def test_a_download_that_takes_too_long_ends(tmp_path: Path, video: Path, server: Any):
    """However slowly the bytes drip: the time is looked at whenever some arrive."""
    url = server.endless("/x.mp4", "video/mp4", b"\0\0\0\x18ftypisom", pause_s=0.05)
    with pytest.raises(Transient, match=r"^timed_out: the download took longer"):
        apply(tmp_path, row(url), deadline_s=0.6)


def test_a_dropped_connection_is_transient_and_the_next_run_fetches_only_the_rest(
    tmp_path: Path, video: Path, server: Any
):
    data = video.read_bytes()
    half = len(data) // 2
    url = server.add("/talk.mp4", data)
    server.cut_off("/talk.mp4", data, half)
    with pytest.raises(Transient, match=rf"^network: Downloaded {half} bytes, expected {len(data)} bytes"):
        apply(tmp_path, row(url))
    (part,) = media(tmp_path)
    assert part.endswith(".part")

    server.answers.clear()
    server.asked.clear()
    looks: list[int] = []

    def serve(handler: Any) -> None:  # yt-dlp looks at the address first, and leaves after the first bytes
        before = server.sent
        server._serve(handler)
        if handler.headers.get("Range"):
            looks.append(server.sent - before)

    server.set("/talk.mp4", serve)
    done = apply(tmp_path, row(url))
    assert ("/talk.mp4", f"bytes={half}-") in server.asked
    assert looks == [len(data) - half]
    assert (tmp_path / done["source"]).read_bytes() == data
    assert media(tmp_path) == [done["source"]]


def test_a_server_that_cannot_go_on_sends_the_whole_again(tmp_path: Path, video: Path, server: Any):
    data = video.read_bytes()
    url = server.cut_off("/talk.mp4", data, 1000)
    with pytest.raises(Transient):
        apply(tmp_path, row(url))
    server.cut_off("/talk.mp4", data, len(data))  # 200 and everything, whatever range is asked for
    assert (tmp_path / apply(tmp_path, row(url))["source"]).read_bytes() == data
    assert server.asked[-1][1] == "bytes=1000-"


def test_a_source_that_changed_between_two_halves_is_downloaded_again_whole(tmp_path: Path, video: Path, server: Any):
    data = video.read_bytes()
    url = server.add("/talk.mp4", data)
    server.cut_off("/talk.mp4", b"\xff" * len(data), 1000)
    wanted = row(url, sha256=hashlib.sha256(data).hexdigest())
    with pytest.raises(Transient):
        apply(tmp_path, wanted)
    server.answers.clear()
    done = apply(tmp_path, wanted)
    assert (tmp_path / done["source"]).read_bytes() == data
    assert media(tmp_path) == [done["source"]]


def test_an_empty_answer_is_transient(tmp_path: Path, server: Any):
    with pytest.raises(Transient, match=r"^network: the server sent nothing"):
        apply(tmp_path, row(server.add("/x.mp4", b"")))


@pytest.mark.parametrize("kind", ["text", "truncated", "playlist", "concat", "web page"])
def test_what_arrives_whole_but_is_no_video_is_rejected(tmp_path: Path, video: Path, server: Any, kind: str):
    """Also what FFmpeg would take for a list, and open the files that it names."""
    secret = tmp_path / "secret.mp4"
    secret.write_bytes(video.read_bytes())
    broken = {
        "text": b"no video at all" * 100,
        "truncated": video.read_bytes()[:400],
        "playlist": f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{secret}\n#EXT-X-ENDLIST\n".encode(),
        "concat": f"ffconcat version 1.0\nfile {secret.name}\n".encode(),
        "web page": b"<html><body>Please log in</body></html>",
    }[kind]
    url = server.add("/talk.mp4", broken, "text/html" if kind == "web page" else "video/mp4")
    with pytest.raises(Reject) as caught:
        apply(tmp_path / "out", row(url))
    assert caught.value.reason == ("not_a_video" if kind == "web page" else "unreadable")
    assert kind == "web page" or caught.value.detail.endswith(f" ({len(broken)} bytes; cut off, or not a video)")
    assert ".mp4" not in caught.value.detail
    assert media(tmp_path / "out") == []


def test_a_wrong_hash_is_rejected_with_both(tmp_path: Path, video: Path, server: Any):
    digest = hashlib.sha256(video.read_bytes()).hexdigest()
    with pytest.raises(Reject, match=rf"hash_mismatch: the manifest says {'0' * 64}, the file has {digest}"):
        apply(tmp_path, row(server.add("/talk.mp4", video.read_bytes()), sha256="0" * 64))


@pytest.mark.parametrize("says", [True, False])
def test_a_download_larger_than_allowed_is_rejected_and_leaves_nothing(
    tmp_path: Path, video: Path, server: Any, says: bool
):
    """Whether its length is stated or it never ends."""
    url = server.add("/talk.mp4", video.read_bytes())
    if not says:
        server.endless("/talk.mp4", "video/mp4", video.read_bytes())
    with pytest.raises(Reject, match=r"too_large: \d+ bytes, the limit is 10000"):
        apply(tmp_path, row(url), max_bytes=10_000)
    assert media(tmp_path) == []


def test_a_source_longer_than_allowed_is_rejected(tmp_path: Path, video: Path, server: Any):
    with pytest.raises(Reject, match=r"too_long: 1 s, the limit is 0 s"):
        apply(tmp_path, row(server.add("/talk.mp4", video.read_bytes())), max_duration_s=0.4)


@pytest.mark.parametrize(
    "page",
    [
        '<meta http-equiv="refresh" content="0; url={}">',
        '<body><video src="{}"></video></body>',
        '<head><meta property="og:video" content="{}"></head>',
    ],
)
def test_a_page_cannot_lead_to_a_local_file(tmp_path: Path, video: Path, server: Any, page: str):
    html = f"<html><title>t</title>{page.format(file_url(video))}</html>"
    with pytest.raises(Reject):
        apply(tmp_path, row(server.add("/page", html.encode(), "text/html")))
    assert media(tmp_path) == []


@pytest.mark.parametrize("to", ["file", "ftp://127.0.0.1:{port}/x.mp4", "gopher://127.0.0.1/x"])
def test_a_redirect_cannot_leave_the_web(tmp_path: Path, video: Path, server: Any, to: str):
    url = server.redirect("/local", file_url(video) if to == "file" else to.format(port=server.port))
    with pytest.raises(Reject, match="bad_redirect"):
        apply(tmp_path, row(url))


def test_a_chain_of_redirects_is_followed_and_a_circle_is_left(tmp_path: Path, video: Path, server: Any):
    server.add("/talk.mp4", video.read_bytes())
    for number, status in enumerate((301, 302, 303, 307, 308)):
        server.redirect(f"/{number}", f"/{number + 1}" if number < 4 else "/talk.mp4", status)
    done = apply(tmp_path, row(server.url("/0")))
    assert (tmp_path / done["source"]).read_bytes() == video.read_bytes()
    with pytest.raises(Transient, match="server_error: the server answers 302: it leads in a circle"):
        apply(tmp_path, row(server.redirect("/round", "/round")))


def test_a_page_without_a_video_and_one_with_several_are_rejected(tmp_path: Path, video: Path, server: Any):
    server.add("/a.mp4", video.read_bytes())
    url = server.add("/none", b"<html><title>t</title>hello</html>", "text/html")
    with pytest.raises(Reject, match="not_a_video: no video behind"):
        apply(tmp_path, row(url))
    two = b'<html><title>t</title><video src="/a.mp4"></video><video src="/b.mp4"></video></html>'
    with pytest.raises(Reject, match="not_a_video: the address leads to a list"):
        apply(tmp_path, row(server.add("/two", two, "text/html")))
    assert media(tmp_path) == []
    assert {path for path, _ in server.asked} == {"/none", "/two"}


def test_other_peoples_text_is_data_and_never_part_of_a_path(tmp_path: Path, video: Path, server: Any):
    root = tmp_path / "100% $HOME ~ %(title)s"
    server.add("/..%2F..%2Fevil%00.mp4", video.read_bytes())
    title = "../../evil $(touch x) \u202eltr\x07 " + "y" * 500
    html = f'<html><head><title>{title}</title></head><video src="/..%2F..%2Fevil%00.mp4"></video></html>'
    done = apply(root, row(server.add("/page", html.encode(), "text/html; charset=utf-8")))
    assert re.fullmatch(r"work/media/download/[0-9a-f]{16}\.[0-9a-f]{8}\.mp4", done["source"])
    assert media(tmp_path) == [f"{root.name}/{done['source']}"]
    assert done["title"].startswith("../../evil $(touch x) ltr y")
    assert len(done["title"]) <= 300


def write_sound(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16_000, layout="mono")
        for begin in range(0, 16_000, 1000):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1000), np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 16_000, begin
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def dash(tmp_path: Path, server: Any, heights: list[int]) -> str:
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
    tmp_path: Path, server: Any, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    url = dash(tmp_path, server, [48, 96, 144])
    done = apply(tmp_path / "out", row(url), max_height=100)
    assert (done["source_height"], done["source_audio_codec"]) == (96, "aac")
    assert not any(path in ("/v48.mp4", "/v144.mp4") for path, _ in server.asked)
    assert media(tmp_path / "out") == [done["source"]]


def test_above_the_limit_the_smallest_is_taken(tmp_path: Path, server: Any):
    done = apply(tmp_path / "out", row(dash(tmp_path, server, [96, 144])), max_height=50)
    assert done["source_height"] == 96


def test_sound_alone_is_rejected(tmp_path: Path, server: Any):
    with pytest.raises(Reject, match="unreadable: no video stream"):
        apply(tmp_path / "out", row(dash(tmp_path, server, [])))


def hls(tmp_path: Path, server: Any, extra: tuple[str, ...] = ()) -> str:
    """An HLS playlist of three seconds; `extra` lines go to its head."""
    lines = ["#EXTM3U", "#EXT-X-TARGETDURATION:1", *extra]
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
    return server.add("/talk.m3u8", playlist.encode(), "application/vnd.apple.mpegurl")


def test_a_stream_with_a_missing_piece_is_not_taken_for_whole_until_the_piece_is_there(tmp_path: Path, server: Any):
    url = hls(tmp_path, server)
    server.status("/1.ts", 503)
    with pytest.raises(Transient, match="503"):
        apply(tmp_path / "out", row(url))
    server.answers.clear()
    done = apply(tmp_path / "out", row(url))
    assert done["source_duration_s"] == pytest.approx(3.0, abs=0.1)
    assert media(tmp_path / "out") == [done["source"]]
    assert [path for path, _ in server.asked].count("/0.ts") == 1  # what was there was not asked for again


@pytest.mark.parametrize("key", ['METHOD=AES-128,URI="k"', 'METHOD=SAMPLE-AES,URI="k"'])
def test_ffmpeg_is_never_given_an_address(tmp_path: Path, server: Any, key: str, monkeypatch: pytest.MonkeyPatch):
    """yt-dlp would start it on a playlist that it cannot read itself."""
    from yt_dlp.downloader.external import FFmpegFD

    monkeypatch.setattr(FFmpegFD, "real_download", lambda *_: pytest.fail("ffmpeg was started"))
    monkeypatch.setattr("pipelines.acquire.downloader.Cryptodome.AES", None)
    with pytest.raises(Reject, match=r"no_format: .*needs another program"):
        apply(tmp_path / "out", row(hls(tmp_path, server, (f"#EXT-X-KEY:{key}",))))


@pytest.mark.parametrize("protocol", ["rtmp", "websocket_frag", "rtmp_ffmpeg"])
def test_no_program_is_started_on_an_address(
    tmp_path: Path, server: Any, monkeypatch: pytest.MonkeyPatch, protocol: str
):
    from yt_dlp.extractor.generic import GenericIE

    found = {"id": "x", "title": "t", "url": server.url("/x"), "ext": "mp4", "protocol": protocol}
    monkeypatch.setattr(GenericIE, "_real_extract", lambda self, url: found)
    with pytest.raises(Reject, match=f"no_format: only as '{protocol}', which needs another program"):
        apply(tmp_path, row(server.url("/x")))


@pytest.mark.parametrize(
    ("more", "outcome"),
    [
        ({"live_status": "is_live"}, r"^live: "),
        ({"live_status": "is_upcoming"}, r"^not_yet: .*again later"),
        ({"duration": 20_000.0}, r"^too_long: 20000 s, the limit is 14400 s"),
    ],
)
def test_what_the_site_says_of_a_video_decides_before_a_byte_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: Any, more: dict[str, Any], outcome: str
):
    from yt_dlp.extractor.generic import GenericIE

    found = {"id": "x", "title": "t", "url": server.url("/x.mp4"), "ext": "mp4", **more}
    monkeypatch.setattr(GenericIE, "_real_extract", lambda self, url: found)
    with pytest.raises((Reject, Transient), match=outcome):
        apply(tmp_path, row(server.url("/x")))
    assert server.asked == []


def test_formats_that_are_missed_for_want_of_a_runtime_are_not_replaced_by_worse_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: Any, video: Path
):
    from yt_dlp.extractor.generic import GenericIE

    url = server.add("/x.mp4", video.read_bytes())

    def extract(self: Any, _: str) -> dict[str, Any]:
        self.report_warning("n challenge solving failed: Some formats may be missing. Ensure you have")
        return {"id": "x", "title": "t", "url": url, "ext": "mp4"}

    monkeypatch.setattr(GenericIE, "_real_extract", extract)
    with pytest.raises(Transient, match=r"^no_js_runtime: .*disentbench doctor"):
        apply(tmp_path, row(url))


def test_what_the_site_states_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: Any, video: Path):
    from yt_dlp.extractor.youtube import YoutubeIE

    found = {
        "id": "dQw4w9WgXcQ",
        "title": "访谈\n<script>",
        "uploader": "央视",
        "license": "Creative Commons Attribution licence (reuse allowed)",
        "url": server.add("/x.mp4", video.read_bytes()),
        "ext": "mp4",
    }
    monkeypatch.setattr(YoutubeIE, "_real_extract", lambda self, url: found)
    done = apply(tmp_path, row("https://www.youtube.com/watch?v=dQw4w9WgXcQ"))
    assert (done["title"], done["uploader"]) == ("访谈 <script>", "央视")
    assert done["site_license"] == found["license"]
    assert done["site_id"] == "youtube:dQw4w9WgXcQ"


def test_cookies_are_sent_and_their_file_is_left_as_it_is(tmp_path: Path, video: Path, server: Any):
    cookies = tmp_path / "cookies.txt"
    cookies.write_text("# Netscape HTTP Cookie File\n127.0.0.1\tFALSE\t/\tFALSE\t0\tsession\tabc\n")
    cookies.chmod(0o440)
    before = cookies.stat().st_mtime_ns, cookies.read_bytes()
    sent: list[str | None] = []

    def answer(handler: Any) -> None:
        sent.append(handler.headers.get("Cookie"))
        server._serve(handler)

    server.add("/talk.mp4", video.read_bytes())
    apply(tmp_path / "out", row(server.set("/talk.mp4", answer)), cookies=str(cookies))
    assert set(sent) == {"session=abc"}
    assert (cookies.stat().st_mtime_ns, cookies.read_bytes()) == before


def test_cookies_that_cannot_be_used_end_the_run_with_a_line(tmp_path: Path, server: Any):
    other = tmp_path / "cookies.json"
    other.write_text("[{}]")
    for path, said in ((tmp_path / "none.txt", "cannot be read"), (other, "not a cookies.txt in Netscape format")):
        with pytest.raises(UserError, match=said):
            Stage(cookies=str(path)).load()
    with pytest.raises(UserError, match=r"the cookies cannot be used .*netscape"):
        apply(tmp_path, row(server.url("/x")), cookies_from_browser="netscape")


def test_the_rate_is_limited(tmp_path: Path, video: Path, server: Any, monkeypatch: pytest.MonkeyPatch):
    slept: list[float] = []
    monkeypatch.setattr("yt_dlp.downloader.common.time.sleep", slept.append)
    size = video.stat().st_size
    apply(tmp_path, row(server.add("/talk.mp4", video.read_bytes())), rate_limit_bytes_s=size // 4)
    assert sum(slept) > 1


def test_a_full_disk_surfaces(tmp_path: Path, video: Path, server: Any):
    stage = Stage(**PATIENCE, allow_local=True)
    url = server.add("/talk.mp4", video.read_bytes())
    workspace = space(tmp_path, stage)
    partial = workspace.shared_file(source_name(row(url)), ".partial")
    partial.mkdir()
    (partial / "media.mp4.part").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left") as caught:
        list(stage.apply(row(url), stage.load(), workspace))
    assert is_disk_full(caught.value)


def test_every_row_ends_with_its_own_outcome(tmp_path: Path, video: Path, server: Any):
    stage = Stage(**PATIENCE, allow_local=True)
    urls = {
        "good": server.add("/talk.mp4", video.read_bytes()),
        "lost": server.url("/lost.mp4"),
        "busy": server.status("/busy.mp4", 503),
    }
    ended = {}
    for name, url in urls.items():
        (ended[name],) = applied(stage, row(url, video_id=name), stage.load, space(tmp_path, stage))
    assert ended["good"]["source_codec"] == "h264"
    assert ended["lost"]["reject"] == "gone: the server answers 404"
    assert ended["busy"]["error"].startswith("server_error: the server answers 503")


def test_only_what_changes_the_result_is_in_the_fingerprint():
    base = config_fingerprint(Stage())
    patience = {"silence_s": 1, "deadline_s": 1, "retries": 0, "sleep_s": 1.0, "rate_limit_bytes_s": 1}
    access = {"manifest_folder": "/x", "cookies": "c.txt", "cookies_from_browser": "firefox", "proxy": "http://p"}
    assert config_fingerprint(Stage(**patience, **access)) == base
    for settings in ({"allow_local": True}, {"max_height": 720}, {"max_bytes": 1}, {"max_duration_s": 1.0}):
        assert config_fingerprint(Stage(**settings)) != base


def test_the_engine_waits_longer_than_the_stage_itself():
    assert timeout_s(Stage(deadline_s=7200.0)) > 7200


def test_rows_of_one_address_share_its_download(tmp_path: Path, video: Path, server: Any) -> None:
    """HDTF's and VoxCeleb2's lists have many rows of one video: it is fetched once, also by several workers at once."""
    url = server.add("/talk.mp4", video.read_bytes())
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        rows = [{**row(url), "video_id": name, "clip_id": name} for name in ("one", "two", "three")]
        done = list(pool.map(lambda one: apply(tmp_path, one), rows))
    assert len({one["source"] for one in done}) == 1
    assert len(media(tmp_path)) == 1
    alone = Path(tmp_path / "alone")
    alone.mkdir()
    asked = len(server.asked)
    apply(alone, row(url))
    assert asked == len(server.asked) - asked, "three rows asked as often as one"
