"""RunRecord: what ran, from which commit, on what, with which weights; written before work starts, completed after."""

import dataclasses
import datetime
import importlib.metadata
import json
import os
import platform
import subprocess
import time
from pathlib import Path
from typing import Any

from chdtf.files import write_text

_PACKAGES = ("torch", "mediapipe", "numpy", "av", "opencv-contrib-python", "yt-dlp", "pyarrow", "scikit-image")


def _git(*arguments: str) -> str | None:
    here = Path(__file__).resolve().parent
    try:
        done = subprocess.run(["git", *arguments], cwd=here, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _versions() -> dict[str, str]:
    found = {}
    for name in ("disentbench", *_PACKAGES):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


@dataclasses.dataclass
class RunRecord:
    """One command's account of itself, `runs/<run_id>.json` below the folder that it wrote to."""

    run_id: str
    command: list[str]
    config: dict[str, Any]
    commit: str | None
    dirty: bool | None
    packages: dict[str, str]
    hardware: dict[str, Any]
    started: str
    inputs: dict[str, str] = dataclasses.field(default_factory=dict)  # name -> fingerprint
    weights: dict[str, str] = dataclasses.field(default_factory=dict)  # name -> sha256
    seconds: float | None = None
    outcome: str = "running"
    details: dict[str, Any] = dataclasses.field(default_factory=dict)

    @classmethod
    def start(cls, command: list[str], config: dict[str, Any]) -> "RunRecord":
        """Collect what can be known before work starts."""
        now = datetime.datetime.now(datetime.timezone.utc)
        status = _git("status", "--porcelain")
        return cls(
            run_id=f"{now:%Y%m%dT%H%M%S}-{os.getpid()}",
            command=command,
            config=config,
            commit=_git("rev-parse", "HEAD"),
            dirty=None if status is None else bool(status),
            packages=_versions(),
            hardware={"machine": platform.machine(), "system": platform.platform(), "cpus": os.cpu_count()},
            started=now.isoformat(timespec="seconds"),
        )

    def write(self, folder: Path) -> Path:
        """Write or rewrite the record."""
        path = folder / "runs" / f"{self.run_id}.json"
        write_text(path, json.dumps(dataclasses.asdict(self), indent=2, default=str) + "\n")
        return path

    def finish(self, folder: Path, outcome: str) -> Path:
        """Complete the record with its outcome and duration, and write it."""
        began = datetime.datetime.fromisoformat(self.started).timestamp()
        self.seconds = round(time.time() - began, 3)
        self.outcome = outcome
        return self.write(folder)
