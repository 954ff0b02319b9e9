"""The guarded network: what may be reached, and what hostile answers cost."""

import gzip
import ipaddress
import socket
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yt_dlp.networking import Request
from yt_dlp.networking.exceptions import RequestError

from chdtf.columns import Row
from chdtf.engine.stage import Workspace, config_fingerprint
from chdtf.errors import Reject, Transient
from chdtf.manifest import ManifestRow
from pipelines.acquire import guard, playlists
from pipelines.acquire.addresses import refusal
from pipelines.stages.download import Stage

PUBLIC = ["8.8.8.8", "1.1.1.1", "142.250.74.78", "2a00:1450:4009:81f::200e", "::ffff:8.8.8.8", "64:ff9b::808:808"]
REFUSED = {
    "127.0.0.1": "loopback",
    "127.9.9.9": "loopback",
    "0.0.0.0": "unspecified",
    "10.1.2.3": "private",
    "172.16.0.1": "private",
    "192.168.1.1": "private",
    "169.254.169.254": "link-local",  # where clouds keep their machines' credentials
    "100.64.0.1": "special-purpose",
    "198.18.0.1": "private",
    "224.0.0.1": "multicast",
    "255.255.255.255": "private",
    "::": "unspecified",
    "::1": "loopback",
    "fe80::1%eth0": "link-local",
    "fc00::1": "private",
    "fd12:3456::1": "private",
    "ff02::1": "multicast",
    "::ffff:127.0.0.1": "loopback",
    "::ffff:10.0.0.1": "private",
    "::ffff:a9fe:a9fe": "link-local",
    "64:ff9b::7f00:1": "loopback",
    "64:ff9b::a9fe:a9fe": "link-local",
    "2002:7f00:1::": "loopback",
    "2002:c0a8:101::": "private",
    "::127.0.0.1": "reserved",
    "2001:db8::1": "private",
}


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_reached(address: str):
    assert refusal(address) is None


@pytest.mark.parametrize(("address", "word"), REFUSED.items())
def test_addresses_that_are_not_public_are_refused_by_their_kind(address: str, word: str):
    assert refusal(address) == word


@given(st.ip_addresses(v=4))
def test_an_address_is_judged_alike_in_every_form(address: ipaddress.IPv4Address):
    mapped = str(ipaddress.IPv6Address(b"\0" * 10 + b"\xff\xff" + address.packed))
    translated = str(ipaddress.IPv6Address(bytes.fromhex("0064ff9b") + b"\0" * 8 + address.packed))
    assert refusal(str(address)) == refusal(mapped) == refusal(translated)
    assert (refusal(str(address)) is None) <= address.is_global


def apply(root: Path, url: str, **settings: Any) -> Row:
    stage = Stage(**{"silence_s": 2.0, "retries": 0, **settings})
    row = {**ManifestRow("clip", url, speaker_id="s").as_row(), "clip_id": "clip"}
    (done,) = stage.apply(row, stage.load(), Workspace(root, stage.name, config_fingerprint(stage)))
    return done


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "[::ffff:127.0.0.1]", "[::1]"]
)
def test_no_spelling_of_this_machine_is_reached(tmp_path: Path, server: Any, host: str):
    with pytest.raises(Reject, match=r"^private_address: .* is a loopback address; .*--allow-local"):
        apply(tmp_path, server.url("/x.mp4", host))
    assert server.asked == []


def test_with_permission_it_is_reached(tmp_path: Path, server: Any, video: Path):
    server.add("/talk.mp4", video.read_bytes())
    assert apply(tmp_path, server.url("/talk.mp4", "localhost"), allow_local=True)["source_width"] == 96


def answers(monkeypatch: pytest.MonkeyPatch, names: dict[str, list[list[str]]]) -> list[str]:
    """Let names mean addresses, another list with every look-up (the last stays); returns where sockets connect to."""
    reached: list[str] = []
    look_up, connect = socket.getaddrinfo, socket.socket.connect

    def named(host: Any, port: Any, *rest: Any, **more: Any) -> Any:
        if host not in names:
            return look_up(host, port, *rest, **more)
        found = names[host].pop(0) if len(names[host]) > 1 else names[host][0]
        return [one for address in found for one in look_up(address, port, *rest, **more)]

    def spied(self: socket.socket, address: Any) -> None:
        reached.append(address[0])
        connect(self, address)

    monkeypatch.setattr(socket, "getaddrinfo", named)
    monkeypatch.setattr(socket.socket, "connect", spied)
    return reached


def test_a_name_is_judged_by_the_address_that_is_connected_to(
    tmp_path: Path, server: Any, monkeypatch: pytest.MonkeyPatch
):
    """Whatever it meant a moment before: names that change between two look-ups gain nothing."""
    reached = answers(monkeypatch, {"videos.example": [["127.0.0.1"]], "mixed.example": [["10.0.0.1", "127.0.0.1"]]})
    for host in ("videos.example", "mixed.example"):
        with pytest.raises(Reject, match=r"^private_address"):
            apply(tmp_path, server.url("/x.mp4", host))
    assert reached == server.asked == []


def test_every_hop_and_every_piece_is_judged(tmp_path: Path, server: Any, monkeypatch: pytest.MonkeyPatch):
    """A public server that leads here: by a redirect, a page, a playlist's piece, a redirect of a piece, a key."""
    public = "8.8.8.8"
    connect = socket.socket.connect

    def here(self: socket.socket, address: Any) -> None:
        connect(self, ("127.0.0.1", address[1]) if address[0] == public else address)

    monkeypatch.setattr(socket.socket, "connect", here)
    monkeypatch.setattr("pipelines.acquire.downloader.Cryptodome.AES", object())

    def at(path: str) -> str:
        return f"http://{public}:{server.port}{path}"

    private = server.url("/secret")
    server.redirect("/redirect", private)
    server.add("/page", f'<html><title>t</title><video src="{private}.mp4"></video></html>'.encode(), "text/html")
    server.add("/refresh", f'<meta http-equiv="refresh" content="0; url={private}">'.encode(), "text/html")
    head, tail = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n", "#EXT-X-ENDLIST\n"
    mpegurl = "application/vnd.apple.mpegurl"
    server.add("/piece", f"{head}#EXTINF:1,\n{private}.ts\n{tail}".encode(), mpegurl)
    server.redirect("/moved.ts", private)
    server.add("/moved", f"{head}#EXTINF:1,\n/moved.ts\n{tail}".encode(), mpegurl)
    server.add("/key", f'{head}#EXT-X-KEY:METHOD=AES-128,URI="{private}"\n#EXTINF:1,\n/a.ts\n{tail}'.encode(), mpegurl)
    server.add("/a.ts", b"x" * 1024, "video/mp2t")
    mpd = (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period><AdaptationSet '
        f'mimeType="video/mp4"><Representation id="v" bandwidth="1" width="9" height="9"><BaseURL>{private}.mp4'
        "</BaseURL></Representation></AdaptationSet></Period></MPD>"
    )
    server.add("/dash", mpd.encode(), "application/dash+xml")
    for path in ("/redirect", "/page", "/refresh", "/piece", "/moved", "/key", "/dash"):
        with pytest.raises(Reject, match=r"^private_address: 127.0.0.1 is a loopback address"):
            apply(tmp_path / path[1:], at(path))
    assert {path for path, _ in server.asked if "secret" in path} == set()


def test_a_proxy_may_be_private_and_what_is_asked_of_it_may_not(tmp_path: Path, server: Any, video: Path):
    server.add("http://videos.example/talk.mp4", video.read_bytes())  # what a proxy is asked for
    proxy = server.url("")
    assert apply(tmp_path, "http://videos.example/talk.mp4", proxy=proxy)["source_width"] == 96
    for url in ("http://127.0.0.1/x.mp4", "http://169.254.169.254/latest", "https://[::1]/x"):
        with pytest.raises(Reject, match=r"^private_address"):
            apply(tmp_path / "b", url, proxy=proxy)


def memory_of(work: Any) -> float:
    """MB of Python's memory at the highest, while `work` is done and fails."""
    tracemalloc.start()
    with pytest.raises((Reject, Transient)):
        work()
    peak = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    return peak


@pytest.mark.parametrize("kind", ["endless page", "gzip bomb", "gzip bomb as video", "long playlist"])
def test_hostile_answers_are_cut_off_in_bounded_memory(
    tmp_path: Path, server: Any, kind: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(guard.Rules, "max_page_bytes", 1 << 20, raising=False)
    monkeypatch.setattr(guard.Rules.__init__, "__defaults__", (float("inf"), 1 << 20))
    url = {
        "endless page": lambda: server.endless("/x", "text/html", b"<p>more</p>" * 1000),
        "gzip bomb": lambda: server.gzip_bomb("/x", "text/html", 64 << 20, b"<html>"),
        "gzip bomb as video": lambda: server.gzip_bomb("/x", "video/mp4", 64 << 20),
        "long playlist": lambda: server.endless(
            "/x", "application/vnd.apple.mpegurl", b"#EXTINF:1,\na.ts\n" * 1000, begin=b"#EXTM3U\n"
        ),
    }[kind]()
    with pytest.raises(Reject, match=r"^too_large: "):
        apply(tmp_path, url, allow_local=True)
    assert memory_of(lambda: apply(tmp_path, url, allow_local=True)) < 40


def test_a_feed_of_thousands_of_videos_is_refused_as_a_list(tmp_path: Path, server: Any):
    item = "<item><title>a</title><link>/a.mp4</link></item>"
    feed = f'<?xml version="1.0"?><rss version="2.0"><channel><title>t</title>{item * 5_000}</channel></rss>'
    with pytest.raises(Reject, match=r"^not_a_video: .*list of videos"):
        apply(tmp_path, server.add("/feed.xml", feed.encode(), "application/rss+xml"), allow_local=True)
    assert [path for path, _ in server.asked] == ["/feed.xml"]


DASH = (
    '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" mediaPresentationDuration="{}"><Period>'
    '<AdaptationSet mimeType="video/mp4"><Representation id="v" bandwidth="1" width="9" height="9">{}</Representation>'
    "</AdaptationSet></Period></MPD>"
)
REPEATED = '<SegmentTemplate media="$Time$.m4s"><SegmentTimeline><S d="1" r="{}"/></SegmentTimeline></SegmentTemplate>'
COUNTED = '<SegmentTemplate media="$Number$.m4s" timescale="1" duration="{}"/>'
BOMBS = [DASH.format("PT1S", REPEATED.format(10**9)), DASH.format("P100000D", COUNTED.format(1))]


@pytest.mark.parametrize("text", BOMBS)
def test_some_bytes_that_stand_for_a_billion_pieces_are_refused(tmp_path: Path, server: Any, text: str):
    with pytest.raises(Reject, match=r"^too_long: a playlist of \d+ pieces"):
        apply(tmp_path, server.add("/x.mpd", text.encode(), "application/dash+xml"), allow_local=True)


def test_playlists_of_real_length_pass_and_a_million_pieces_do_not():
    day = "#EXTM3U\n" + "#EXTINF:4,\nhttps://cdn.example/segment.ts?token=abc\n" * 21_600
    playlists.refuse_endless_hls(day)
    with pytest.raises(Reject, match="too_long"):
        playlists.refuse_endless_hls("#EXTM3U\n" + "#EXTINF:1,\na\n" * 1_000_000)
    two_hours = DASH.format("PT2H0M1.5S", COUNTED.format(4))
    playlists.refuse_endless_dash(two_hours.encode())


def read(server: Any, path: str, **rules: Any) -> bytes:
    """The body of a page, through the handler alone."""
    handler = guard.handler(guard.Rules(allow_local=True, **rules))(logger=None)
    try:
        return handler.send(Request(server.url(path))).read()
    finally:
        handler.close()


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "raw deflate", "gzip, deflate", "identity"])
def test_encoded_pages_are_unpacked(server: Any, encoding: str):
    text = b"<html>" + bytes(range(256)) * 40
    raw = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    data = {
        "gzip": gzip.compress(text),
        "deflate": zlib.compress(text),
        "raw deflate": raw.compress(text) + raw.flush(),
        "gzip, deflate": zlib.compress(gzip.compress(text)),
        "identity": text,
    }[encoding]

    def answer(handler: Any) -> None:
        told = {"Content-Encoding": encoding.removeprefix("raw "), "Content-Length": str(len(data))}
        server.head(handler, "text/html", **told)
        server.send(handler, data)

    server.set("/x", answer)
    assert read(server, "/x") == text


def test_a_page_that_breaks_off_is_not_taken_for_whole(server: Any):
    server.cut_off("/x", b"a" * 10_000, 5_000)
    with pytest.raises(RequestError, match="5000 bytes read, 5000 more expected"):
        read(server, "/x")
    server.add("/x.gz", b"")

    def answer(handler: Any) -> None:
        data = gzip.compress(bytes(range(256)) * 40)[:-9]
        server.head(handler, "text/html", **{"Content-Encoding": "gzip", "Content-Length": str(len(data))})
        server.send(handler, data)

    server.set("/x", answer)
    with pytest.raises(RequestError, match="truncated"):
        read(server, "/x")


def test_chunked_pages_are_read(server: Any):
    def answer(handler: Any) -> None:
        server.head(handler, "text/html", **{"Transfer-Encoding": "chunked"})
        for part in (b"hello ", b"world"):
            server.send(handler, b"%x\r\n%s\r\n" % (len(part), part))
        server.send(handler, b"0\r\n\r\n")

    server.set("/x", answer)
    assert read(server, "/x") == b"hello world"
