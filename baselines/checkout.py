"""Upstream's checkout: at which commit it stands, what was changed in it, which files it holds."""

import dataclasses
import hashlib
import subprocess
from pathlib import Path

_TIMEOUT_S = 60


@dataclasses.dataclass(frozen=True)
class Checkout:
    """A git work tree. `revision` is "" where `trouble` says why it cannot be told.

    `files` are tracked and there, relative to `folder`; `changes` are those of them that differ from the commit, and
    `changes_sha256` tells one difference from another ("" where there is none).
    """

    folder: Path
    revision: str = ""
    files: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    changes_sha256: str = ""
    trouble: str = ""


def read_checkout(folder: Path) -> Checkout:
    """What git says of a folder; never raises, `trouble` tells what is wrong."""
    if not folder.is_dir():
        return Checkout(folder, trouble="is not there")
    if not (folder / ".git").exists():
        return Checkout(folder, trouble="is no git checkout, so its revision cannot be told")
    try:
        revision = _git(folder, "rev-parse", "HEAD").strip()
        tracked = [name for name in _git(folder, "ls-files", "-z").split("\0") if name]
        difference = _git(folder, "diff", "HEAD", "--binary", "--no-ext-diff")
        changed = [name for name in _git(folder, "diff", "HEAD", "--name-only", "-z").split("\0") if name]
    except FileNotFoundError:
        return Checkout(folder, trouble="cannot be read: git is not installed")
    except (OSError, subprocess.SubprocessError) as error:
        return Checkout(folder, trouble=f"cannot be read by git ({error})")
    there = tuple(name for name in tracked if (folder / name).is_file())
    digest = hashlib.sha256(difference.encode("utf-8", "surrogateescape")).hexdigest() if changed else ""
    return Checkout(folder, revision, there, tuple(changed), digest)


def _git(folder: Path, *arguments: str) -> str:
    # the folder may belong to another user, as in a container
    command = ["git", "-c", f"safe.directory={folder.resolve()}", "-C", str(folder), *arguments]
    done = subprocess.run(command, capture_output=True, check=True, timeout=_TIMEOUT_S)
    return done.stdout.decode("utf-8", "surrogateescape")
