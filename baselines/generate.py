"""job.json -> a method's own process -> verified videos. Every method, ours included, goes through this door."""

import dataclasses
import hashlib
import json
import logging
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from baselines.installation import Installation, declared_panel
from baselines.job import write_job
from baselines.method import Method
from baselines.outside import differences, snapshot
from baselines.process import Outcome, run_driver
from baselines.stage import Extra, Item, stage_inputs
from baselines.verify import reason_of, reason_of_content
from baselines.weight_files import trust
from chdtf.files import sha256_file, write_text

log = logging.getLogger(__name__)

Progress = Callable[[int, int, str], None]
MAX_BARREN = 2  # launches in a row without a single clip done; the rest is given up then

__all__ = ["Generated", "Item", "generate", "stage_inputs"]


@dataclasses.dataclass(frozen=True)
class Generated:
    """One clip's outcome: a video, or the reason why there is none.

    `generation_s` is the wall-clock time that upstream's command took for this clip, loading included; of a method of
    ours, whose process makes all clips, that of the process spread evenly over the clips of its job. It is that of the
    run which made the video, or None where that is not known.
    """

    clip_id: str
    path: Path | None
    reason: str | None
    seconds: float  # `generation_s`, or 0 when the video was kept from an earlier run
    generation_s: float | None = None
    gpu_memory_mb: int | None = None


def generate(
    method: Method,
    items: Sequence[Item],
    folder: Path,
    progress: Progress,
    installation: Installation | None = None,
    extras: Mapping[str, Extra] | None = None,
) -> list[Generated]:
    """Make `folder/<clip_id>.mp4` for every item; what an earlier run made with the same inputs is kept.

    A method that is not installed, crashes, hangs or writes nothing costs its own clips: they come back with a reason.
    A wrapped method needs its `installation` and the `extras` of every clip (`baselines.stage`).
    """
    if installation is not None and installation.problems:
        reason = f"{installation.problems[0].word}: disentbench methods doctor NAME says what is missing"
        return [Generated(item.clip_id, None, reason, 0.0) for item in items]
    folder.mkdir(parents=True, exist_ok=True)
    session = _Session(method, folder, progress, installation, extras or {})
    return session.run(items)


@dataclasses.dataclass
class _Session:
    method: Method
    folder: Path
    progress: Progress
    installation: Installation | None
    extras: Mapping[str, Extra]

    def run(self, items: Sequence[Item]) -> list[Generated]:
        own = self.method.fingerprint() + (self.installation.fingerprint() if self.installation else "")
        lacking = {name: extra.reason for name, extra in self.extras.items() if extra.reason}
        wanted = {item.clip_id: self._item_fingerprint(own, item) for item in items if item.clip_id not in lacking}
        kept = {name: made for name in wanted if (made := _made(self._output(name), wanted[name])) is not None}
        todo = [item for item in items if item.clip_id in wanted and item.clip_id not in kept]
        for item in todo:
            for suffix in (".mp4", ".error", ".took", ".log", ".json", ".part"):
                self._output(item.clip_id).with_suffix(suffix).unlink(missing_ok=True)
        if self.installation and todo:
            trust(list(self.installation.weights), self.installation.folder)
        reasons, share, memory = self._make(todo)
        results = []
        for item in items:
            name = item.clip_id
            if name in lacking:
                results.append(Generated(name, None, lacking[name], 0.0))
            elif name in kept:
                side = kept[name]
                seconds, peak = side.get("generation_s"), side.get("gpu_memory_mb")
                results.append(Generated(name, self._output(name), None, 0.0, seconds, peak))
            else:
                results.append(self._judge(item, wanted[name], reasons.get(name, ""), share, memory))
        return results

    def _output(self, clip_id: str) -> Path:
        return self.folder / f"{clip_id}.mp4"

    def _item_fingerprint(self, own: str, item: Item) -> str:
        files = [item.image, item.audio, item.video]
        if self.method.role == "control" and self.method.audio == "own" and item.other_audio is not None:
            files.append(item.other_audio)  # of no account to any other method
        parts = [own, *(sha256_file(path) for path in files), str(item.seed)]
        if extra := self.extras.get(item.clip_id):
            parts += [f"{name}={path.parent.name}/{path.name}" for name, path in sorted(extra.inputs.items())]
        return hashlib.sha256("".join(parts).encode()).hexdigest()

    def _make(self, todo: Sequence[Item]) -> tuple[dict[str, str], float, int | None]:
        """Launch the driver until every clip is done or blamed; returns troubles, seconds a clip, and GPU memory."""
        troubles: dict[str, str] = {}
        left, barren, seconds, memory = list(todo), 0, 0.0, None
        while left and barren < MAX_BARREN:
            outcome, outside = self._launch(left)
            seconds += outcome.seconds
            memory = max(memory or 0, outcome.gpu_memory_mb) if outcome.gpu_memory_mb is not None else memory
            rest = [item for item in left if not self._is_finished(item)]
            if outside:
                told = f"wrote_outside: {len(outside)} files, such as {outside[0]}"
                return {item.clip_id: told for item in todo}, seconds / len(todo), memory
            if not rest:
                break
            barren = barren + 1 if len(rest) == len(left) else 0
            troubles |= {item.clip_id: outcome.trouble for item in rest}
            if not outcome.trouble:  # it ended well: it would write nothing another time either
                break
            log.warning("method %s, %s: %s", self.method.name, rest[0].clip_id, outcome.trouble)
            left = rest[1:]  # clips are made in order: the first that is missing is the one it failed at
        return troubles, (seconds / len(todo) if todo else 0.0), memory

    def _launch(self, items: Sequence[Item]) -> tuple[Outcome, list[str]]:
        """One run of the driver, and the files that it wrote where it must not."""
        outputs = {item.clip_id: self._output(item.clip_id) for item in items}
        guarded = self._guarded(items)
        before = snapshot(guarded)
        work = Path(tempfile.mkdtemp(prefix="disentbench-"))
        try:
            job_file = self.folder / "job.json"
            job = write_job(self.method, items, outputs, job_file, self.installation, self.extras, work)

            def finished() -> int:
                count = sum(self._is_finished(item) for item in items)
                self.progress(count, len(items), self.method.name)
                return count

            timeout_s = self.method.timeout_s
            outcome = run_driver(job.command, job.environment, self.folder / "log.txt", timeout_s, finished)
        finally:
            shutil.rmtree(work, ignore_errors=True)
        return outcome, differences(before, snapshot(guarded))

    def _guarded(self, items: Sequence[Item]) -> list[Path]:
        places = [path for item in items for path in (item.image, item.audio, item.video)]
        places += [path for item in items for path in self._extra_paths(item)]
        if self.installation:
            places += [self.installation.checkout.folder, *(one.path for one in self.installation.weights)]
        return places

    def _extra_paths(self, item: Item) -> list[Path]:
        extra = self.extras.get(item.clip_id)
        return list(extra.inputs.values()) if extra else []

    def _is_finished(self, item: Item) -> bool:
        output = self._output(item.clip_id)
        return output.exists() or output.with_suffix(".error").exists()

    def _judge(self, item: Item, fingerprint: str, trouble: str, share: float, memory: int | None) -> Generated:
        output = self._output(item.clip_id)
        reason = trouble if trouble.startswith("wrote_outside: ") else reason_of(output, trouble)
        if reason is None and self.installation is not None:
            panel = declared_panel(self.method, self.installation.generated)
            reason = reason_of_content(output, self.method, panel, item.num_frames)
        seconds = _took(output) if self.installation is not None else round(share, 3)
        if reason is not None:
            return Generated(item.clip_id, None, reason, seconds or 0.0)
        side = {"fingerprint": fingerprint, "bytes": output.stat().st_size, "sha256": sha256_file(output)}
        side |= {"generation_s": seconds, "gpu_memory_mb": memory}
        write_text(output.with_suffix(".json"), json.dumps(side) + "\n")
        return Generated(item.clip_id, output, None, seconds or 0.0, seconds, memory)


def _made(output: Path, fingerprint: str) -> dict[str, Any] | None:
    """What was noted when the video was made of the same inputs; None when it was not."""
    side = output.with_suffix(".json")
    if not (output.exists() and side.exists()):
        return None
    made: dict[str, Any] = json.loads(side.read_text(encoding="utf-8"))
    return made if made.get("fingerprint") == fingerprint and made.get("bytes") == output.stat().st_size else None


def _took(output: Path) -> float | None:
    """Seconds that upstream's command took, as its driver noted them."""
    try:
        return float(json.loads(output.with_suffix(".took").read_text(encoding="utf-8"))["seconds"])
    except (OSError, ValueError, LookupError):
        return None
