import csv
from pathlib import Path

import pytest

from disenttalk_ref.train.logs import Logs, Pace


def _steps(path: Path) -> list[str]:
    with path.open() as stream:
        return [row["step"] for row in csv.DictReader(stream)]


def test_lines_that_will_be_written_again_are_dropped(tmp_path: Path):
    logs = Logs(tmp_path, 0)
    for step in (2, 4, 6):
        logs.add("train", step, {"noise": step / 3, "sync": float("nan")})
    with (tmp_path / "train.csv").open("a") as stream:
        stream.write("8,0.1")  # killed in mid-line
    resumed = Logs(tmp_path, 4)
    assert _steps(tmp_path / "train.csv") == ["2", "4"]
    resumed.add("train", 6, {"noise": 2.0, "sync": 0.5})
    text = (tmp_path / "train.csv").read_text().splitlines()
    assert text == ["step,noise,sync", f"2,{2 / 3},", f"4,{4 / 3},", "6,2.0,0.5"]
    Logs(tmp_path, 0)
    assert not (tmp_path / "train.csv").exists()


def test_pauses_are_not_training(monkeypatch: pytest.MonkeyPatch):
    now = [0.0]
    monkeypatch.setattr("time.perf_counter", lambda: now[0])
    pace = Pace()
    now[0] = 2.0
    with pace.paused():
        now[0] = 10.0
    now[0] = 12.0
    assert pace.since(8, 32, 1.0) == {"seconds": 4.0, "windows_per_s": 64.0, "data_wait": 0.25}
    now[0] = 13.0
    assert pace.since(1, 32, 1.5) == {"seconds": 5.0, "windows_per_s": 32.0, "data_wait": 0.5}
