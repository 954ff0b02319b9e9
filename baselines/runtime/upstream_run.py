"""Runs upstream's own command for every clip of a job, each in an overlay of its own; what `drive.py` is made of.

A driver says what is special about its method in `prepare` (and, rarely, `collect`):

    from upstream_run import Task, run

    def prepare(task: Task) -> None:
        task.place("audio", "examples/{name}.wav")

    def main(job_file: Path) -> None:
        run(job_file, prepare)

For each item, in order: overlay, inputs, `prepare`, the command of the job, then the one new file that the job's
pattern names becomes the item's output. What goes wrong costs that item: `OUTPUT.error` gets one line `word: why`.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import subprocess
import sys
import time
import traceback
from pathlib import Path
from typing import Any, Callable

from capped_log import CappedLog, last_line
from overlay import make_overlay

log = logging.getLogger("upstream_run")

NAME = "clip"  # of every staged file: many upstream scripts build unquoted shell lines of it
_NETWORK = re.compile(
    r"Name or service not known|Temporary failure in name resolution|Failed to resolve|Connection refused|"
    r"Network is unreachable|Cannot connect to proxy|ProxyError|Max retries exceeded|urlopen error|"
    r"OfflineModeIsEnabled|outgoing traffic has been disabled|couldn't connect to|LocalEntryNotFoundError",
    re.IGNORECASE,
)


class Refused(Exception):
    """Said of a clip that cannot be made; the message, `word: why`, becomes its reason."""


class Task:
    """One clip: where its overlay is, what it is given, and the values that the command's placeholders take.

    `inputs` are paths relative to the overlay, by name. `generated` says that the weights are generated: a driver may
    then take a smaller configuration. Placeholders: the inputs by name, `name`, `seed`, `num_frames`, `device`,
    `python`, `output` (a free path below the overlay), and whatever `prepare` adds to `values`.
    """

    def __init__(self, job: dict[str, Any], item: dict[str, Any]) -> None:
        self.job, self.item = job, item
        self.folder = Path(job["work"]) / "overlay"
        self.name = NAME
        self.device: str = job["device"]
        self.generated: bool = job["weights_origin"] == "generated"
        self.settings: dict[str, Any] = job["settings"]
        self.inputs: dict[str, str] = {}
        self.values: dict[str, str] = {
            "name": NAME,
            "seed": str(item["seed"] % 2**31),
            "num_frames": str(item["num_frames"]),
            "device": self.device,
            "python": sys.executable,
            "output": "result/" + NAME + ".mp4",
        }

    def path(self, place: str) -> Path:
        """A path of the overlay; placeholders are filled, its folder is made."""
        found = self.folder / place.format_map(self.values)
        found.parent.mkdir(parents=True, exist_ok=True)
        return found

    def place(self, name: str, place: str) -> Path:
        """Copy an input to where upstream looks for it, in place of what lies there."""
        source, target = self.folder / self.inputs[name], self.path(place)
        if target.is_symlink() or target.is_file():
            target.unlink()
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copyfile(source, target)
        return target

    def write(self, place: str, text: str) -> Path:
        """Write a file that upstream reads, such as its configuration."""
        target = self.path(place)
        if target.is_symlink() or target.exists():
            target.unlink()
        target.write_text(text, encoding="utf-8")
        return target

    def remove(self, pattern: str) -> None:
        """Take files out of the overlay, such as upstream's examples."""
        for path in list(self.folder.glob(pattern)):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()


Hook = Callable[[Task], None]


def run(job_file: Path, prepare: Hook | None = None, collect: Hook | None = None) -> None:
    """Make every output of the job that is not there yet; `collect` runs between the command and taking its output."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    job = json.loads(Path(job_file).read_text(encoding="utf-8"))
    for item in job["items"]:
        output = Path(item["output"])
        error = output.with_suffix(".error")
        if output.exists() or error.exists():
            continue
        log.info("== %s", item["clip_id"])
        task = Task(job, item)
        try:
            _one(task, output, prepare, collect)
        except Refused as refusal:
            _say(error, str(refusal))
        except Exception as problem:
            traceback.print_exc()
            _say(error, f"failed: {type(problem).__name__}: {problem}")
        finally:
            shutil.rmtree(task.folder, ignore_errors=True)


def _one(task: Task, output: Path, prepare: Hook | None, collect: Hook | None) -> None:
    job = task.job
    shutil.rmtree(task.folder, ignore_errors=True)
    make_overlay(task.folder, Path(job["checkout"]), job["files"], job["weights"])
    _lay_inputs(task)
    if prepare is not None:
        prepare(task)
    (task.folder / "result").mkdir(exist_ok=True)
    pattern = job["output"].format_map(task.values)
    before = set(task.folder.glob(pattern))
    command = [part.format_map(task.values) for part in job["command"]]
    log_file = output.with_suffix(".log")
    started = time.monotonic()
    status = _command(command, task, log_file)
    seconds = time.monotonic() - started
    if status:
        raise Refused(f"{_why(log_file)}: exit status {status}: {last_line(log_file) or 'nothing was printed'}")
    if collect is not None:
        collect(task)
    found = sorted(path for path in set(task.folder.glob(pattern)) - before if path.is_file())
    if not found:
        word = "needs_network" if _why(log_file) == "needs_network" else "no_output"
        raise Refused(f"{word}: it ended well and wrote no {pattern}; its last words: {last_line(log_file) or 'none'}")
    if len(found) > 1:
        names = ", ".join(str(path.relative_to(task.folder)) for path in found[:3])
        raise Refused(f"two_outputs: {len(found)} files match {pattern}: {names}")
    temporary = output.with_suffix(".part")
    shutil.move(str(found[0]), str(temporary))
    output.with_suffix(".took").write_text(json.dumps({"seconds": round(seconds, 3)}), encoding="utf-8")
    os.replace(str(temporary), str(output))


def _lay_inputs(task: Task) -> None:
    """Copies, because upstream scripts overwrite what they are given."""
    folder = task.folder / "inputs"
    folder.mkdir()
    for name, given in task.item["inputs"].items():
        source = Path(given)
        inside = f"inputs/{name}/{NAME}{source.suffix}"
        task.inputs[name] = task.values[name] = inside
        target = task.path(inside)
        if source.is_dir():
            shutil.copytree(str(source), str(target))
        else:
            shutil.copyfile(str(source), str(target))


def _command(command: list[str], task: Task, log_file: Path) -> int:
    """Run one command of upstream in the overlay, its words to a log of bounded size."""
    home = Path(task.job["work"]) / "home"
    home.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, **task.job["environment"], "DISENTBENCH_SEED": task.values["seed"]}
    environment["HOME"] = str(home)
    environment["TORCH_HOME"] = str(task.folder / "torch_home")
    environment["PYTHONPATH"] = os.pathsep.join([task.job["environment"]["PYTHONPATH"], str(task.folder)])
    log.info("   %s", " ".join(command))
    process = subprocess.Popen(
        command,
        cwd=str(task.folder),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
    )
    assert process.stdout is not None
    words = CappedLog(process.stdout, log_file)
    status = process.wait()
    words.join(5.0)  # a child that lives on keeps the pipe open
    return status


def _why(log_file: Path) -> str:
    """The word for a failure, from what was printed."""
    try:
        text = log_file.read_bytes().decode("utf-8", "replace")
    except OSError:
        return "failed"
    if "out of memory" in text.lower():
        return "out_of_memory"
    return "needs_network" if _NETWORK.search(text) else "failed"


def _say(error: Path, words: str) -> None:
    line = " ".join(words.split())[:800]
    log.info("   %s", line)
    temporary = error.with_suffix(".error_part")
    temporary.write_text(line, encoding="utf-8")
    os.replace(str(temporary), str(error))
