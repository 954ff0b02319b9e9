"""An upstream of our own making: a git checkout with a script, its weights and an environment, below tmp_path."""

import dataclasses
import json
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from baselines.environment import find_environment
from baselines.generate import Generated, generate
from baselines.installation import Installation, examine
from baselines.method import FOLDER, Method, load_method
from baselines.stage import Extra, Item
from chdtf import media
from chdtf.files import write_text

TOML = """
label = "Odd"
role = "method"
paper = "none"
upstream = "https://example.org/odd"
revision = "{revision}"
license = "none"
input = "video"
eye_blink = "none"
seed = "argument"
timeout_s = 20
[run]
python = "{python}"
command = ["{{python}}", "make.py", "{{video}}", "{{seed}}"]
output = "made/*.mp4"
[inputs.video]
kind = "video"
[[weights]]
path = "checkpoints/net.bin"
url = "https://example.org/net.bin"
sha256 = "{sha256}"
"""
COPY = "import pathlib, shutil, sys\npathlib.Path('made').mkdir()\nshutil.copyfile(sys.argv[1], 'made/out.mp4')\n"
DRIVE = """
import sys
from pathlib import Path
from upstream_run import run

def main(job_file):
    run(job_file)

if __name__ == "__main__":
    main(Path(sys.argv[1]))
"""


def quiet(done: int, total: int, what: str) -> None:
    """No progress."""


@dataclasses.dataclass
class Upstream:
    """A method `odd` whose upstream's script is what a test says; `home` is where its things lie."""

    home: Path
    folder: Path  # in place of baselines/
    items: Sequence[Item]
    out: Path

    @property
    def checkout(self) -> Path:
        """Upstream's work tree."""
        return self.home / "odd" / "upstream"

    @property
    def weight(self) -> Path:
        """Its one file of weights."""
        return self.home / "odd" / "weights" / "checkpoints" / "net.bin"

    def commit(self, code: str = COPY, sha256: str = "unknown", **changes: Any) -> Method:
        """Commit `make.py`, and return the method that is pinned to that commit, with its environment made."""
        write_text(self.checkout / "make.py", textwrap.dedent(code))
        for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "x", "--allow-empty"]):
            self.git(*command)
        python = f"{sys.version_info.major}.{sys.version_info.minor}"
        text = TOML.format(revision=self.git("rev-parse", "HEAD").strip(), python=python, sha256=sha256)
        write_text(self.folder / "odd" / "method.toml", text)
        write_text(self.folder / "odd" / "drive.py", DRIVE)
        write_text(self.folder / "odd" / "requirements.txt", "# nothing\n")
        method = dataclasses.replace(load_method("odd"), **changes)
        environment = find_environment(method, self.home)
        (environment.folder / "bin").mkdir(parents=True, exist_ok=True)
        if not environment.python.exists():
            write_text(environment.python, f'#!/bin/sh\nexec {sys.executable} "$@"\n')
            environment.python.chmod(0o755)
        write_text(environment.folder / "environment.json", json.dumps({"python": f"{python}.0"}))
        return method

    def git(self, *arguments: str) -> str:
        """What git says in the checkout."""
        who = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
        done = subprocess.run(["git", *who, *arguments], cwd=self.checkout, check=True, capture_output=True, text=True)
        return done.stdout

    def examine(self, method: Method, generated: bool = False) -> Installation:
        """What there is of it."""
        return examine(method, generated, self.home)

    def run(self, method: Method, generated: bool = False) -> list[Generated]:
        """All clips through the door."""
        return self.run_with(method, {item.clip_id: Extra({"video": item.video}) for item in self.items}, generated)

    def run_with(self, method: Method, extras: dict[str, Extra], generated: bool = False) -> list[Generated]:
        """All clips through the door, with these derived inputs."""
        return generate(method, self.items, self.out, quiet, self.examine(method, generated), extras)

    def reasons(self, code: str, **changes: Any) -> list[str | None]:
        """What becomes of every clip when upstream's script is `code`."""
        return [made.reason for made in self.run(self.commit(code, **changes))]


@pytest.fixture
def make_items(tmp_path: Path) -> Callable[[int], list[Item]]:
    """Some tiny clips, staged."""

    def make(count: int) -> list[Item]:
        folder = tmp_path / "inputs"
        folder.mkdir(exist_ok=True)
        made = []
        for number in range(count):
            rng = np.random.default_rng(number)
            frames = [rng.integers(0, 255, (64, 64, 3), np.uint8) for _ in range(10)]
            waveform = (0.1 * rng.standard_normal(10 * 640)).astype(np.float32)
            place = folder / f"clip{number}_000"
            media.write_video(place.with_suffix(".mp4"), frames, waveform)
            place.with_suffix(".wav").write_bytes(media.encode_audio(waveform, codec="wav"))
            cv2.imwrite(str(place.with_suffix(".png")), frames[0])
            paths = (place.with_suffix(suffix) for suffix in (".png", ".wav", ".mp4"))
            made.append(Item(place.name, *paths, num_frames=10, seed=number))
        return made

    return make


def make_upstream(root: Path, patch: pytest.MonkeyPatch, items: Sequence[Item]) -> Upstream:
    """An upstream whose script copies its input; `patch` makes it the one method there is."""
    folder = root / "baselines"
    folder.mkdir()
    for name in ("runtime", "shims", "stubs"):
        (folder / name).symlink_to(FOLDER / name)
    for module in ("method", "installation", "job", "generated_weights"):
        patch.setattr(f"baselines.{module}.FOLDER", folder)
    made = Upstream(root / "home", folder, items, root / "out")
    made.checkout.mkdir(parents=True)
    write_text(made.weight, "weights")
    return made


@pytest.fixture
def upstream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_items: Callable[[int], list[Item]]) -> Upstream:
    """An upstream whose script copies its input, with two clips."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    return make_upstream(tmp_path, monkeypatch, make_items(2))
