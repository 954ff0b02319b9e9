"""A web server on the loopback interface that does as it is told, badly too, and a small real video for it to serve."""

import contextlib
import gzip
import http.server
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chdtf.media import write_video

Handler = http.server.BaseHTTPRequestHandler
Answer = Callable[[Handler], None]


@pytest.fixture(scope="session")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One second of noise, 96x64, with sound: some ten thousand bytes that do not shrink."""
    path = tmp_path_factory.mktemp("video") / "talk.mp4"
    images = np.random.default_rng(96).integers(0, 256, (25, 64, 96, 3), np.uint8)
    write_video(path, list(images), np.zeros(16_000, np.float32))
    return path


class Server:
    """What to answer for which path, what was asked, and how many bytes of bodies went out."""

    def __init__(self) -> None:
        self.files: dict[str, tuple[bytes, str]] = {}
        self.answers: dict[str, Answer] = {}
        self.asked: list[tuple[str, str | None]] = []  # path, Range
        self.sent = 0
        self.port = 0
        self.stop = threading.Event()

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    def add(self, path: str, data: bytes, kind: str = "video/mp4") -> str:
        """Serve `data`, and the rest of it to whom asks for a range."""
        self.files[path] = (data, kind)
        return self.url(path)

    def set(self, path: str, answer: Answer) -> str:
        self.answers[path] = answer
        return self.url(path)

    def status(self, path: str, status: int, times: int | None = None, **headers: str) -> str:
        """Answer with an error, `times` times, then with the file of that path."""
        left = [times]

        def answer(handler: Handler) -> None:
            if left[0] == 0:
                self._serve(handler)
                return
            left[0] = None if left[0] is None else left[0] - 1
            handler.send_response(status)
            for name, value in headers.items():
                handler.send_header(name.replace("_", "-"), value)
            handler.send_header("Content-Length", "0")
            handler.end_headers()

        return self.set(path, answer)

    def redirect(self, path: str, to: str, status: int = 302) -> str:
        return self.status(path, status, Location=to)

    def cut_off(self, path: str, data: bytes, at: int) -> str:
        """Promise all of `data`, close the connection after `at` bytes; whatever range is asked for."""

        def answer(handler: Handler) -> None:
            self.head(handler, "video/mp4", **{"Content-Length": str(len(data))})
            self.send(handler, data[:at])
            handler.close_connection = True

        return self.set(path, answer)

    def endless(self, path: str, kind: str, block: bytes, pause_s: float = 0.0, begin: bytes = b"") -> str:
        """Send `begin`, then `block` again and again, without saying how long."""

        def answer(handler: Handler) -> None:
            self.head(handler, kind)
            handler.close_connection = True
            self.send(handler, begin)
            while not self.stop.wait(pause_s) if pause_s else not self.stop.is_set():
                self.send(handler, block)

        return self.set(path, answer)

    def stall(self, path: str) -> str:
        """Take the request and say nothing."""
        return self.set(path, lambda handler: self.stop.wait(10) and None)

    def gzip_bomb(self, path: str, kind: str, size: int, begin: bytes = b"") -> str:
        data = gzip.compress(begin + b" " * size)

        def answer(handler: Handler) -> None:
            self.head(handler, kind, **{"Content-Encoding": "gzip", "Content-Length": str(len(data))})
            self.send(handler, data)

        return self.set(path, answer)

    def head(self, handler: Handler, kind: str, **headers: str) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", kind)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()

    def send(self, handler: Handler, data: bytes) -> None:
        handler.wfile.write(data)
        self.sent += len(data)

    def answer(self, handler: Handler) -> None:
        self.asked.append((handler.path, handler.headers.get("Range")))
        (self.answers.get(handler.path) or self._serve)(handler)

    def _serve(self, handler: Handler) -> None:
        if handler.path not in self.files:
            handler.send_error(404)
            return
        data, kind = self.files[handler.path]
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", handler.headers.get("Range") or "")
        begin = int(wanted[1]) if wanted else 0
        handler.send_response(206 if wanted else 200)
        if wanted:
            handler.send_header("Content-Range", f"bytes {begin}-{len(data) - 1}/{len(data)}")
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(data) - begin))
        handler.end_headers()
        self.send(handler, data[begin:])


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server; a proxy of the machine would stand between yt-dlp and it, and is taken away."""
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    script = Server()

    class Scripted(Handler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None: ...

        def do_GET(self) -> None:  # noqa: N802
            with contextlib.suppress(ConnectionError):
                script.answer(self)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Scripted) as listener:
        listener.daemon_threads = True
        script.port = listener.server_port
        threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield script
        script.stop.set()
        listener.shutdown()
