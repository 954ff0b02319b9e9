"""Local videos: their `file:` URLs, and the manifest rows of a folder of them."""

import collections
import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, unquote_to_bytes

import pyarrow as pa

from chdtf.errors import UserError
from chdtf.manifest_row import ManifestRow

MEDIA_SUFFIXES = (".mp4", ".mov", ".mkv", ".avi", ".webm", ".mpg", ".mpeg", ".m4v", ".flv")

_LONGEST_STEM = 100  # leaves room for a hash within the 128 characters of an id


def file_url(path: Path, manifest_folder: Path | None = None) -> str:
    """`file:` URL of a file, percent-encoded: relative when it lies below the manifest's folder, else absolute."""
    path = _absolute(path)
    if manifest_folder is not None and path.is_relative_to(folder := _absolute(manifest_folder)):
        return "file:" + quote(os.fsencode(path.relative_to(folder)))
    return "file://" + quote(os.fsencode(path))


def local_path(url: str, manifest_folder: Path) -> Path:
    """The file that a `file:` URL names; a relative one counts from the manifest's folder.

    Everything after the scheme is the path: `?` and `#` have no other meaning here. Raises `ValueError` for others.
    """
    scheme, _, rest = url.partition(":")
    if scheme.lower() != "file":
        raise ValueError(f"not a file: URL: {url!r}")
    if rest.startswith("//"):
        rest = "/" + rest[2:].partition("/")[2]  # what precedes is empty or localhost
    return Path(manifest_folder) / os.fsdecode(unquote_to_bytes(rest))


def with_file_states(manifest: pa.Table, manifest_folder: Path) -> pa.Table:
    """The manifest's table with a column `file_state`: size and time of change of a local file, else null.

    So that a file which was replaced under its old name is noticed without being read. A row with a hash needs none.
    """
    states: list[str | None] = []
    pinned = manifest.column("sha256") if "sha256" in manifest.column_names else pa.nulls(manifest.num_rows)
    for url, sha256 in zip(manifest.column("url"), pinned, strict=True):
        states.append(None if sha256.is_valid else _state(url.as_py(), manifest_folder))
    return manifest.append_column("file_state", pa.array(states, pa.string()))


def _state(url: str, manifest_folder: Path) -> str | None:
    if not url.lower().startswith("file:"):
        return None
    try:
        found = local_path(url, manifest_folder).stat()
    except (OSError, RuntimeError, ValueError):
        return None  # the download stage says what is wrong
    return f"{found.st_size} bytes, {found.st_mtime_ns} ns"


def from_folder(
    folder: Path,
    language: str = "und",
    license: str = "unknown",  # noqa: A002 - the manifest's column
    manifest: Path | None = None,
) -> list[ManifestRow]:
    """One row for every video in a folder and below, in the order of their paths.

    Videos are known by their suffix (`MEDIA_SUFFIXES`, any case); hidden files and folders are left out. The id is the
    file's name where that is a unique and valid id, else made from it and a hash of its path; the speaker is the first
    folder below `folder`, else the id. URLs are absolute, or relative when `manifest`, the file that the rows will be
    written to, lies in `folder` or above it. Raises `UserError` when there is no such folder or no video in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder}: {'is a file, not a folder' if folder.exists() else 'no such folder'}")
    names = sorted(_media_files(folder))
    if not names:
        suffixes = " ".join(suffix[1:] for suffix in MEDIA_SUFFIXES)
        raise UserError(f"{folder}: holds no videos; looked for files ending in {suffixes}")
    base = Path(manifest).parent if manifest is not None else None
    return [
        ManifestRow(
            video_id=video_id,
            url=file_url(folder / name, base),
            speaker_id=_readable(Path(name).parts[0]) if os.sep in name else video_id,
            language=language,
            license=license,
        )
        for name, video_id in zip(names, _ids(names), strict=True)
    ]


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would replace the links by which the user names files


def _media_files(folder: Path) -> Iterator[str]:
    """Paths of the videos relative to `folder`; a folder that cannot be listed is an error, not silently empty."""

    def refuse(error: OSError) -> None:
        raise UserError(f"{error.filename}: cannot be read ({error.strerror})") from error

    for parent, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if not name.startswith(".") and Path(name).suffix.lower() in MEDIA_SUFFIXES:
                yield os.path.relpath(Path(parent) / name, folder)


def _ids(names: list[str]) -> list[str]:
    """Valid ids, unique without regard to case, each depending on other files only where names collide."""
    stems = [_sanitised(Path(name).stem) for name in names]
    count = collections.Counter(stem.lower() for stem in stems)
    taken: set[str] = set()
    ids = []
    for name, stem in zip(names, stems, strict=True):
        digest = hashlib.sha256(os.fsencode(name)).hexdigest()
        hashed = [f"{stem or 'video'}-{digest[:length]}" for length in (8, 16, 24)]
        candidates = [stem, *hashed] if stem and count[stem.lower()] == 1 else hashed
        ids.append(next(candidate for candidate in candidates if candidate.lower() not in taken))
        taken.add(ids[-1].lower())
    return ids


def _sanitised(stem: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "-", stem).strip("-_")[:_LONGEST_STEM].rstrip("-")


def _readable(name: str) -> str:
    """A folder's name as text that a table can hold, even when it is not UTF-8 or holds control characters."""
    text = os.fsencode(name).decode("utf-8", "replace")
    return re.sub("[\x00-\x1f\x7f-\x9f\u2028\u2029]", "_", text).strip() or "_"
