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
from chdtf.errors import Reject, Transient, is_disk_full
from chdtf.files import sha256_file
from chdtf.manifest import local_path
from chdtf.media import UnreadableError, probe
from chdtf.shards import Workspace
from pipelines.fetch import Limits, fetch

_NOT_IN_FINGERPRINT = {"fingerprint": False}  # where and how patiently, not what


@dataclasses.dataclass(frozen=True)
class Stage:
    """Brings sources into the workspace: `http(s)` by yt-dlp, `file:` by a hard link, or a copy where none can be made.

    Attributes:
        manifest_folder: what relative `file:` URLs count from.
        allow_local: whether `file:` URLs are followed at all; a manifest from elsewhere should not read this disk.
        max_height: of several formats take the best up to this many px (of the smaller side).
        max_bytes: refuse a download that is larger.
        timeout_s: seconds without a byte before the server counts as silent.
        deadline_s: seconds that one download may take in all; the next run goes on where it ended.
        retries: further tries within one run, after 2, 4, 8, ... s.

    """

    name: ClassVar[str] = "download"
    version: ClassVar[int] = 1
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
        ]
    )

    manifest_folder: str = dataclasses.field(default=".", metadata=_NOT_IN_FINGERPRINT)
    allow_local: bool = False
    max_height: int = 1080
    max_bytes: int = 4 << 30
    timeout_s: float = dataclasses.field(default=30.0, metadata=_NOT_IN_FINGERPRINT)
    deadline_s: float = dataclasses.field(default=3600.0, metadata=_NOT_IN_FINGERPRINT)
    retries: int = dataclasses.field(default=3, metadata=_NOT_IN_FINGERPRINT)

    def load(self) -> str:
        """Path of the ffmpeg that yt-dlp joins picture and sound with; it comes with a package."""
        import imageio_ffmpeg

        return str(imageio_ffmpeg.get_ffmpeg_exe())

    def apply(self, row: Row, model: str, workspace: Workspace) -> Iterable[Row]:
        """Return the row with the `source` columns.

        Raises `Reject` (`local_not_allowed`, `gone`, `not_a_video`, `no_format`, `live`, `drm`, `too_large`,
        `bad_redirect`, `hash_mismatch`, `empty`, `unreadable`) or `Transient`.
        """
        if row["url"].lower().startswith("file:"):
            path = self._link(row, workspace)
            return [{**row, **_described(row, path, workspace)}]
        path, is_fresh = self._download(row, model, workspace)
        try:
            return [{**row, **_described(row, path, workspace)}]
        except Reject:
            if is_fresh:
                raise
        # kept from an earlier run, or put together from two: judge the source only by a download in one piece
        path.unlink()
        path, _ = self._download(row, model, workspace)
        return [{**row, **_described(row, path, workspace)}]

    def _link(self, row: Row, workspace: Workspace) -> Path:
        if not self.allow_local:
            raise Reject("local_not_allowed", f"{row['url']}: local files are read only when allowed")
        source = local_path(row["url"], Path(self.manifest_folder))
        target = workspace.file(row["video_id"], _suffix(source))
        try:
            source = source.resolve(strict=True)
            if not source.is_file():
                raise Reject("unreadable", f"{row['url']}: not a regular file")
            source.open("rb").close()  # a link to a file that may not be read could still be made
            _link_or_copy(source, target)
        except OSError as error:
            if is_disk_full(error):
                raise
            raise Transient(f"{row['url']}: cannot be read ({error.strerror}); mend that and run again") from error
        return target

    def _download(self, row: Row, ffmpeg: str, workspace: Workspace) -> tuple[Path, bool]:
        """The file, and whether all of it was downloaded just now."""
        # a changed address is another file; nothing else of the address goes into a name
        name = f"{row['video_id']}.{hashlib.sha256(row['url'].encode()).hexdigest()[:8]}"
        partial = workspace.file(name, ".partial")
        kept = [path for path in partial.parent.glob(f"{partial.stem}.*") if path.is_file()]
        if kept:
            return kept[0], False
        is_fresh = not partial.exists()
        limits = Limits(self.max_height, self.max_bytes, self.timeout_s, self.deadline_s, self.retries)
        try:
            done = fetch(row["url"], partial, limits, ffmpeg)
        except Reject:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        target = done.replace(workspace.file(name, _suffix(done)))
        shutil.rmtree(partial, ignore_errors=True)
        return target, is_fresh


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
    }
