"""Real videos over a real network path: yt-dlp, a web server on this machine, and the whole pipeline behind it."""

import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from benchmark.cli import main
from chdtf.clip import read_clips
from chdtf.manifest import ManifestRow, write_manifest

pytestmark = pytest.mark.slow

SERVED = ("clips/may_5s.mp4", "clips/grid_bbaf2n.mpg", "clips/merkel_15.avi", "hard/no_audio_stream.mp4")


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


@pytest.fixture
def address(shared: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The real material, served over HTTP on the loopback interface."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    handler = functools.partial(_Quiet, directory=str(shared / "data"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_clips_from_the_web_are_the_clips_from_the_disk(
    shared: Path, real_dataset: Path, address: str, tmp_path: Path
) -> None:
    """The same videos by `http:` and by `file:` give the same clips; what the server lacks is a rejected row."""
    served = {Path(name).stem: name for name in (*SERVED, "clips/gone.mp4")}
    web = [
        ManifestRow(video_id, f"{address}/{name}", speaker_id="s", language="und", license="unknown")
        for video_id, name in served.items()
    ]
    write_manifest(web, tmp_path / "web.csv")
    assert (
        main(["build", "--manifest", str(tmp_path / "web.csv"), "--out", str(tmp_path / "web"), "--allow-local"]) == 0
    )
    by_disk, by_web = ({c.clip_id: c for c in read_clips(root)} for root in (real_dataset, tmp_path / "web"))
    assert sorted(by_web) == ["grid_bbaf2n_000", "may_5s_000", "merkel_15_000"]
    for clip_id, clip in by_web.items():
        assert clip.video_bytes() == by_disk[clip_id].video_bytes()
        assert np.array_equal(clip.coefficients().expression, by_disk[clip_id].coefficients().expression)
    rejected = {r["video_id"]: r["reason"] for r in pq.read_table(tmp_path / "web" / "rejected.parquet").to_pylist()}
    assert rejected == {"no_audio_stream": "no_audio", "gone": "gone"}
