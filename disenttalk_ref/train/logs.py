"""Logs of a run: CSV files always, TensorBoard when asked for."""

import contextlib
import csv
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from chdtf.files import atomic_path

TRAIN, VALIDATION = "train", "validation"


class Logs:
    """`train.csv` and `validation.csv` in `out`: one line for a step, "" for what could not be computed."""

    def __init__(self, out: Path, step: int, tensorboard: bool = False) -> None:
        """Lines after `step`, which a killed process wrote and this one will write again, are dropped."""
        self._out, self._board = out, None
        for name in (TRAIN, VALIDATION):
            _cut(self._path(name), step)
        if tensorboard:
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(str(out / "tensorboard"), purge_step=step + 1)

    def add(self, name: str, step: int, values: dict[str, Any]) -> None:
        """Append one line; a run's lines all have the same names."""
        path = self._path(name)
        row = {"step": step, **{key: _shown(value) for key, value in values.items()}}
        new = not path.exists()
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, row)
            if new:
                writer.writeheader()
            writer.writerow(row)
        if self._board is not None:
            for key, value in values.items():
                if isinstance(value, int | float) and math.isfinite(value):
                    self._board.add_scalar(f"{name}/{key}", value, step)

    def close(self) -> None:
        """Write out what is buffered."""
        if self._board is not None:
            self._board.close()

    def _path(self, name: str) -> Path:
        return self._out / f"{name}.csv"


class Pace:
    """How fast a run is, pauses left out."""

    def __init__(self) -> None:
        self._began, self._paused_s, self._waited_s = time.perf_counter(), 0.0, 0.0
        self.total_s = 0.0

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """What happens within is not training."""
        began = time.perf_counter()
        yield
        self._paused_s += time.perf_counter() - began

    def since(self, steps: int, batch: int, waited_s: float) -> dict[str, float]:
        """Seconds in all, windows a second, and the share of time spent waiting for data, since the last call.

        `steps` are those since the last call, `waited_s` is the time waited for data in all.
        """
        now = time.perf_counter()
        busy_s = max(now - self._began - self._paused_s, 1e-9)
        self.total_s += busy_s
        found = {
            "seconds": round(self.total_s, 2),
            "windows_per_s": round(steps * batch / busy_s, 1),
            "data_wait": round((waited_s - self._waited_s) / busy_s, 4),
        }
        self._began, self._paused_s, self._waited_s = now, 0.0, waited_s
        return found


def _shown(value: Any) -> Any:
    return "" if isinstance(value, float) and not math.isfinite(value) else value


def _cut(path: Path, step: int) -> None:
    """Keep whole lines of steps up to `step`; at step 0 there is nothing to keep."""
    if not path.exists():
        return
    if step == 0:
        path.unlink()
        return
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line for line in lines[1:] if line.endswith("\n") and int(line.split(",")[0]) <= step]
    with atomic_path(path) as temporary:
        temporary.write_text("".join([lines[0], *kept]), encoding="utf-8")
