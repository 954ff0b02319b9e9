"""First stage: every source as a file of the workspace, with what its container says of itself."""

import dataclasses
import hashlib
import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa

from chdtf.columns import Row
from chdtf.engine.shards import Workspace
from chdtf.errors import Reject, Transient, is_disk_full
from chdtf.files import sha256_file
from chdtf.manifest import local_path
from chdtf.media import UnreadableError, probe
from pipelines.acquire.containers import refuse_unsafe
from pipelines.acquire.fetch import Limits, Network, check_cookies, fetch
from pipelines.acquire.site import Site, read_site, write_site

_NOT_IN_FINGERPRINT = {"fingerprint": False}  # where and how patiently, not what
_OF_THE_FILE = ("unreadable", "hash_mismatch", "empty", "too_long")


@dataclasses.dataclass(frozen=True)
class Stage:
    """Brings sources into the workspace: `http(s)` by yt-dlp, `file:` by a hard link, or a copy where none can be made.

    How to get in (cookies, proxy) is not in the fingerprint: it would make again every download that there is already.
    What cookies or a proxy may yet open is therefore left as an error, which the next run tries again.

    Attributes:
        manifest_folder: what relative `file:` URLs count from.
        allow_local: whether `file:` URLs are followed at all, and addresses that are not public reached; a manifest
            from elsewhere should read neither this disk nor this network.
        max_height: of several formats take the best up to this many px (of the smaller side).
        max_bytes: refuse a download that is larger.
        max_duration_s: refuse a source that is longer, as its site or its container says.
        max_pixels: refuse a source with larger frames: one alone may take gigabytes. 8K has 35.4 million.
        silence_s: seconds without a byte before the server counts as silent.
        deadline_s: seconds that one download may take in all; the next run goes on where it ended.
        retries: further tries within one run, after 2, 4, 8, ... s, or when the server says.
        cookies: a cookies.txt in Netscape format, only read.
        cookies_from_browser: name of a browser of this machine, with ":profile" if wanted.
        proxy: URL of a proxy; empty: what the environment says.
        rate_limit_bytes_s: bytes per second of one download; 0: no limit.
        sleep_s: seconds between a site's requests.

    """

    name: ClassVar[str] = "download"
    version: ClassVar[int] = 2
    adds: ClassVar[pa.Schema] = pa.schema(
        [
            pa.field("source", pa.string()),  # path below the dataset's root
            pa.field("source_sha256", pa.string()),
            pa.field("source_width", pa.int32()),  # px, before the container's rotation
            pa.field("source_height", pa.int32()),
            pa.field("source_fps", pa.float64()),  # average
            pa.field("source_duration_s", pa.float64()),
            pa.field("source_codec", pa.string()),
            pa.field("source_audio_codec", pa.string()),  # null: no sound
            pa.field("source_bytes", pa.int64()),
            pa.field("source_bitrate_bps", pa.int64()),  # of the whole file; null: of unknown length
            pa.field("title", pa.string()),  # this and the next three as the site states them: other people's text
            pa.field("uploader", pa.string()),
            pa.field("site_license", pa.string()),
            pa.field("site_id", pa.string()),  # "youtube:ID"; null: a file, or a direct link
            pa.field("file_state", pa.string()),  # null from here on: the file's hash is known
        ]
    )

    manifest_folder: str = dataclasses.field(default=".", metadata=_NOT_IN_FINGERPRINT)
    allow_local: bool = False
    max_height: int = 1080
    max_bytes: int = 4 << 30
    max_duration_s: float = 4 * 3600.0
    max_pixels: int = 36_000_000
    silence_s: float = dataclasses.field(default=30.0, metadata=_NOT_IN_FINGERPRINT)
    deadline_s: float = dataclasses.field(default=3600.0, metadata=_NOT_IN_FINGERPRINT)
    retries: int = dataclasses.field(default=3, metadata=_NOT_IN_FINGERPRINT)
    cookies: str = dataclasses.field(default="", metadata=_NOT_IN_FINGERPRINT)
    cookies_from_browser: str = dataclasses.field(default="", metadata=_NOT_IN_FINGERPRINT)
    proxy: str = dataclasses.field(default="", metadata=_NOT_IN_FINGERPRINT)
    rate_limit_bytes_s: int = dataclasses.field(default=0, metadata=_NOT_IN_FINGERPRINT)
    sleep_s: float = dataclasses.field(default=0.0, metadata=_NOT_IN_FINGERPRINT)

    @property
    def timeout_s(self) -> float:
        """Seconds after which an item counts as stuck: the deadline, and time to hash and join what has come."""
        return self.deadline_s + 900.0

    def load(self) -> str:
        """Path of the ffmpeg that yt-dlp joins picture and sound with; it comes with a package.

        Raises `UserError` for cookies that cannot be used.
        """
        import imageio_ffmpeg

        if self.cookies:
            check_cookies(Path(self.cookies))
        return str(imageio_ffmpeg.get_ffmpeg_exe())

    def apply(self, row: Row, model: str, workspace: Workspace) -> Iterable[Row]:
        """Return the row with the columns of `adds`.

        Raises `Reject` (`local_not_allowed`, `private_address`, `bad_redirect`, `gone`, `private`, `age_restricted`,
        `geo_blocked`, `live`, `drm`, `not_a_video`, `no_format`, `too_large`, `too_long`, `hash_mismatch`, `empty`,
        `unreadable`) or `Transient` (`bot_check`, `rate_limited`, `needs_login`, `age_restricted`, `geo_blocked`,
        `forbidden`, `not_yet`, `no_js_runtime`, `network`, `timed_out`, `server_error`, `local_unreadable`, `failed`).
        """
        if row["url"].lower().startswith("file:"):
            path = self._link(row, workspace)
            return [{**row, **self._described(row, path, workspace, Site())}]
        return [{**row, **self._from_network(row, model, workspace)}]

    def _link(self, row: Row, workspace: Workspace) -> Path:
        if not self.allow_local:
            raise Reject("local_not_allowed", f"{row['url']}: local files are read only when allowed")
        source = local_path(row["url"], Path(self.manifest_folder))
        target = workspace.file(row["video_id"], _suffix(source))
        try:
            source = source.resolve(strict=True)
            if not source.is_file():
                raise Reject("unreadable", f"{row['url']}: not a regular file")
            if not source.stat().st_size:  # also what the kernel makes up as it is read, without end
                raise Reject("empty", "the file has 0 bytes")
            source.open("rb").close()  # a link to a file that may not be read could still be made
            _link_or_copy(source, target)
        except (OSError, RuntimeError) as error:  # RuntimeError: a link that leads to itself, until Python 3.13
            if is_disk_full(error):
                raise
            why = f"{row['url']}: cannot be read ({getattr(error, 'strerror', None) or error}); mend that and run again"
            raise Transient(f"local_unreadable: {why}") from error
        return target

    def _from_network(self, row: Row, ffmpeg: str, workspace: Workspace) -> dict[str, Any]:
        name = source_name(row)
        with workspace.held(name):  # another row of the same source may be at it in another process
            return self._shared(row, name, ffmpeg, workspace)

    def _shared(self, row: Row, name: str, ffmpeg: str, workspace: Workspace) -> dict[str, Any]:
        partial = workspace.shared_file(name, ".partial")
        note = workspace.shared_file(name, ".site.json")
        kept = [path for path in partial.parent.glob(f"{partial.stem}.*") if path.is_file() and path != note]
        is_fresh = not kept and not partial.exists()
        try:
            site = read_site(note) if kept else None
            path, site = (kept[0], site) if site else self._download(row, name, ffmpeg, workspace)
            return self._described(row, path, workspace, site)
        except Reject as reject:
            if is_fresh or reject.reason not in _OF_THE_FILE:
                raise
        # kept from an earlier run, or put together from two: judge the source only by a download in one piece
        for path in kept:
            path.unlink(missing_ok=True)
        shutil.rmtree(partial, ignore_errors=True)
        path, site = self._download(row, name, ffmpeg, workspace)
        return self._described(row, path, workspace, site)

    def _download(self, row: Row, name: str, ffmpeg: str, workspace: Workspace) -> tuple[Path, Site]:
        partial = workspace.shared_file(name, ".partial")
        limits = Limits(
            self.max_height, self.max_bytes, self.max_duration_s, self.silence_s, self.deadline_s, self.retries
        )
        network = Network(
            self.allow_local,
            self.cookies,
            self.cookies_from_browser,
            self.proxy,
            self.rate_limit_bytes_s,
            self.sleep_s,
        )
        try:
            done = fetch(row["url"], partial, limits, network, ffmpeg)
        except Reject:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        write_site(workspace.shared_file(name, ".site.json"), done.site)  # first: a file without it counts as not there
        target = done.path.replace(workspace.shared_file(name, _suffix(done.path)))
        shutil.rmtree(partial, ignore_errors=True)
        return target, done.site

    def _described(self, row: Row, path: Path, workspace: Workspace, site: Site) -> dict[str, Any]:
        """The columns of `adds`; a file that is refused is not kept."""
        try:
            columns = _described(row, path, workspace)
            length_s = columns["source_duration_s"]
            if length_s > self.max_duration_s:
                raise Reject("too_long", f"{length_s:.0f} s, the limit is {self.max_duration_s:.0f} s")
            width, height = columns["source_width"], columns["source_height"]
            if width * height > self.max_pixels:
                raise Reject("too_large", f"frames of {width}x{height} px, the limit is {self.max_pixels} px")
        except Reject:
            path.unlink()  # of a local source only the workspace's own name of it
            raise
        # a lock knows of a file that it was of a site
        known = {"site_id": site.site_id or row.get("site_id"), "file_state": None}
        return {**columns, **dataclasses.asdict(site), **known}


def source_name(row: Row) -> str:
    """Begin of the names of a downloaded source's files: rows of one address share them, unless they want other hashes.

    Nothing else of the address goes into a name.
    """
    return hashlib.sha256(f"{row['url']} {(row.get('sha256') or '').lower()}".encode()).hexdigest()[:16]


def _suffix(path: Path) -> str:
    suffix = path.suffix.lower()
    return suffix if re.fullmatch(r"\.[a-z0-9]{2,5}", suffix) and suffix != ".part" else ".media"


def _link_or_copy(source: Path, target: Path) -> None:
    """Make `target` a second name of `source`, or a copy; `source` itself is not touched."""
    temporary = target.with_name(f".tmp-{os.getpid()}-{target.name}")
    temporary.unlink(missing_ok=True)
    try:
        try:
            os.link(source, temporary)
        except OSError:  # another file system, or one without hard links
            shutil.copyfile(source, temporary)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)  # renaming one name of a file onto another name of it does nothing


def _described(row: Row, path: Path, workspace: Workspace) -> dict[str, Any]:
    digest = sha256_file(path)
    wanted = row.get("sha256")
    if wanted and wanted.lower() != digest:
        raise Reject("hash_mismatch", f"the manifest says {wanted.lower()}, the file has {digest}")
    size = path.stat().st_size
    if not size:
        raise Reject("empty", "the file has 0 bytes")
    refuse_unsafe(path)
    try:
        info = probe(path)
    except UnreadableError as error:
        # without the workspace's name of the file, which says nothing to the reader
        why = error.detail.removeprefix(f"{path.name}: ")
        raise Reject(error.reason, f"{why} ({size} bytes; cut off, or not a video)") from error
    return {
        "source": workspace.relative(path),
        "source_sha256": digest,
        "source_width": info.width,
        "source_height": info.height,
        "source_fps": info.fps,
        "source_duration_s": info.duration_s,
        "source_codec": info.video_codec,
        "source_audio_codec": info.audio_codec,
        "source_bytes": info.size_bytes,
        "source_bitrate_bps": round(8 * info.size_bytes / info.duration_s) if info.duration_s else None,
    }
