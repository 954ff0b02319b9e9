import hashlib
import http.server
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from chdtf import weights
from chdtf.errors import UserError
from chdtf.weights import Weights

CONTENT = bytes(range(256)) * 3000


@pytest.fixture
def server() -> Iterator[str]:
    """Serves CONTENT at /good, something else at /other, half of it at /half, and 404 elsewhere."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = {"/good": CONTENT, "/other": b"a page that says no", "/half": CONTENT}.get(self.path)
            if body is None:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if self.path == "/half" else body)

        def log_message(self, *args: object) -> None:
            pass

    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{httpd.server_port}"
    httpd.shutdown()
    thread.join()
    httpd.server_close()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DISENTBENCH_WEIGHTS", str(tmp_path / "weights"))
    return tmp_path / "weights"


def registry(url: str) -> dict[str, Weights]:
    entry = Weights("net", "net.model", url, hashlib.sha256(CONTENT).hexdigest(), len(CONTENT), "MIT", "a test")
    return {"net": entry}


def test_fetch_downloads_verifies_and_keeps(server: str, folder: Path):
    known = registry(server + "/good")
    assert weights.find("net", known) is None
    seen: list[tuple[int, int]] = []
    path = weights.fetch("net", lambda done, total: seen.append((done, total)), known)
    assert path == folder / "net.model"
    assert path.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert len(seen) > 1
    assert weights.find("net", known) == path
    assert [status.state for status in weights.status(known)] == ["ok"]
    assert weights.fetch("net", registry=registry("http://127.0.0.1:1/never")) == path


@pytest.mark.parametrize("where", ["/other", "/half"])
def test_a_wrong_file_is_refused_with_both_hashes_and_leaves_nothing(server: str, folder: Path, where: str):
    known = registry(server + where)
    with pytest.raises(UserError) as caught:
        weights.fetch("net", registry=known)
    assert known["net"].sha256 in str(caught.value)
    assert len([word for word in str(caught.value).replace(",", "").split() if len(word) == 64]) == 2
    assert list(folder.iterdir()) == []


def test_what_the_network_says_is_passed_on_in_one_line(server: str, folder: Path):
    for url, why in ((server + "/gone", "Not Found"), ("http://127.0.0.1:1/x", "refused")):
        with pytest.raises(UserError, match=why) as caught:
            weights.fetch("net", registry=registry(url))
        assert str(folder / "net.model") in str(caught.value)
        assert "\n" not in str(caught.value)
    assert list(folder.iterdir()) == []


def test_a_file_that_is_another_is_not_used(folder: Path, caplog: pytest.LogCaptureFixture):
    known = registry("http://127.0.0.1:1/x")
    folder.mkdir()
    (folder / "net.model").write_bytes(b"older version")
    assert weights.find("net", known) is None
    (status,) = weights.status(known)
    assert status.state == "mismatch"
    assert known["net"].sha256 in status.detail
    assert "not used" in caplog.text


def test_a_file_is_hashed_once_until_it_changes(folder: Path, monkeypatch: pytest.MonkeyPatch):
    known = registry("http://127.0.0.1:1/x")
    folder.mkdir()
    path = folder / "net.model"
    path.write_bytes(CONTENT)
    assert weights.find("net", known) == path
    weights._hash.cache_clear()  # as in another process
    monkeypatch.setattr(weights, "sha256_file", lambda path: pytest.fail("hashed again"))
    assert weights.find("net", known) == path
    monkeypatch.undo()
    monkeypatch.setenv("DISENTBENCH_WEIGHTS", str(folder))
    path.write_bytes(CONTENT + b"x")
    assert weights.find("net", known) is None


def test_folder_is_configurable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("DISENTBENCH_WEIGHTS", raising=False)
    assert weights.folder() == tmp_path / ".cache" / "disentbench" / "weights"
    monkeypatch.setenv("DISENTBENCH_WEIGHTS", "~/w")
    assert weights.folder() == tmp_path / "w"


def test_the_registry_is_complete():
    assert {"syncnet_v2", "sfd_face", "light_asd", "mobilefacenet", "ict", "inception_fid"} <= set(weights.WEIGHTS)
    for entry in weights.WEIGHTS.values():
        assert entry.url.startswith("https://")
        assert not entry.url.startswith("https://raw.") or re.search("/[0-9a-f]{40}/", entry.url)  # a commit, no branch
        assert len(entry.sha256) == 64
        assert entry.size_bytes > 1e6
        assert entry.licence
        assert entry.purpose


def test_unknown_weights_name_the_nearest():
    with pytest.raises(UserError, match=r"unknown weights 'syncnet'; did you mean syncnet_v2\? all: syncnet_v2, sfd"):
        weights.fetch("syncnet")
