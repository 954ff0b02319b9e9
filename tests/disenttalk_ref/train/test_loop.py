import csv
import dataclasses
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from chdtf.dataset import MotionClip
from chdtf.errors import UserError
from chdtf.morphable.model import load_model
from disenttalk_ref.audio import AudioFeatures
from disenttalk_ref.checkpoint import load_checkpoint
from disenttalk_ref.subspaces import save_subspaces, select
from disenttalk_ref.train import Augmentation, TrainConfig, TrainingData, fit, train
from disenttalk_ref.train import loop as loop_module
from disenttalk_ref.train.loop import check_launch

Regions = tuple[tuple[int, ...], ...]
STILL = Augmentation(mirror=0, speed=0, warp=0, gain_db=0, tilt=0, noise_db=(-90, -90), pause=0)
FACE = load_model("mp468")


def _config(out: Path, **changes: Any) -> TrainConfig:
    config = TrainConfig((), out, steps=6, batch=2, window_frames=16, log_every=2, save_every=3)
    return dataclasses.replace(config, **{"warmup_steps": 2, "validate_every": 0, "cpu": True, **changes})


def _fit(config: TrainConfig, clips: list[MotionClip], regions: Regions, **more: Any) -> Path:
    return fit(config, TrainingData(tuple(clips)), FACE, regions, AudioFeatures(), **more)


def _losses(out: Path, name: str = "train") -> list[dict[str, str]]:
    """Lines of a log without what depends on the clock."""
    with (out / f"{name}.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    return [{k: v for k, v in row.items() if k not in ("seconds", "windows_per_s", "data_wait")} for row in rows]


def _same(first: Path, second: Path) -> bool:
    a, b = load_file(first), load_file(second)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


class Stopped(Exception):
    """Stands for whatever ends a run early."""


def _stop_at(step: int) -> Any:
    def stop(done: int, steps: int, losses: dict[str, float]) -> None:
        if done == step:
            raise Stopped

    return stop


def test_a_resumed_run_is_the_uninterrupted_one(tmp_path: Path, clips: list[MotionClip], regions: Regions):
    """Losses, validation and weights, bit by bit; stopped between a save and a line of the log."""
    data = TrainingData(tuple(clips[:2]), tuple(clips[2:]), "held")
    config = _config(tmp_path / "whole", log_every=2, validate_every=2)
    parts = dataclasses.replace(config, out=tmp_path / "parts")
    whole = fit(config, data, FACE, regions, AudioFeatures())
    with pytest.raises(Stopped):
        fit(parts, data, FACE, regions, AudioFeatures(), _stop_at(5))  # saved at 3, logged at 2 and 4
    resumed = fit(parts, data, FACE, regions, AudioFeatures())
    assert _same(whole, resumed)
    assert _same(whole.with_name("best.safetensors"), resumed.with_name("best.safetensors"))
    for name in ("train", "validation"):
        assert _losses(config.out, name) == _losses(parts.out, name)
    assert [row["step"] for row in _losses(parts.out)] == ["2", "4", "6"]
    written = resumed.stat().st_mtime_ns
    assert fit(parts, data, FACE, regions, AudioFeatures()).stat().st_mtime_ns == written  # finished: left as it is


SCRIPT = """
import sys
from pathlib import Path
import numpy as np
from chdtf.dataset import MotionClip
from chdtf.morphable.model import load_model
from disenttalk_ref.audio import AudioFeatures
from disenttalk_ref.train import TrainConfig, TrainingData, fit
saved = np.load(sys.argv[1], allow_pickle=False)
names = ("waveform", "expression", "pose", "valid")
clips = tuple(
    MotionClip(f"clip_{i}", "speaker", "en", *(saved[f"{name}_{i}"] for name in names)) for i in range(3)
)
regions = tuple(range(13, 21)), tuple(range(13)), tuple(range(21, 64))
config = TrainConfig((), Path(sys.argv[2]), window_frames=16, warmup_steps=2, validate_every=0, cpu=True, SETTINGS)
fit(config, TrainingData(clips), load_model("mp468"), regions, AudioFeatures())
from accelerate import PartialState
sys.stdout.write(f"{PartialState().num_processes} processes\\n")
"""


def _script(folder: Path, clips: list[MotionClip], settings: str) -> tuple[str, str]:
    """A script that trains on the clips, for a process of its own: (script, its data)."""
    arrays = {
        f"{name}_{number}": getattr(clip, name)
        for number, clip in enumerate(clips)
        for name in ("waveform", "expression", "pose", "valid")
    }
    np.savez(folder / "clips.npz", **arrays)
    (folder / "script.py").write_text(SCRIPT.replace("SETTINGS", settings))
    return str(folder / "script.py"), str(folder / "clips.npz")


def _environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}


@pytest.mark.slow
def test_a_killed_process_loses_nothing(tmp_path: Path, clips: list[MotionClip], regions: Regions):
    """SIGKILL in mid-run, then the same run again: the losses of one that nobody killed."""
    script = _script(tmp_path, clips, "steps=30, batch=2, log_every=4, save_every=6, micro_batch=0")
    killed, config = tmp_path / "killed", _config(tmp_path / "whole", steps=30, batch=2, log_every=4, save_every=6)
    with subprocess.Popen([sys.executable, *script, str(killed)], env=_environment()) as process:
        deadline = time.monotonic() + 120
        while not list(killed.glob("state-*.pt")) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert list(killed.glob("state-*.pt"))
    assert not (killed / "checkpoint.safetensors").exists()
    whole = _fit(config, clips, regions)
    assert _same(_fit(dataclasses.replace(config, out=killed), clips, regions), whole)
    assert _losses(killed) == _losses(config.out)


def test_other_settings_or_data_do_not_continue(tmp_path: Path, clips: list[MotionClip], regions: Regions):
    _fit(_config(tmp_path, steps=1), clips, regions)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    changed = _config(tmp_path, steps=1, learning_rate=2e-4, augmentation=STILL)
    said = r"learning_rate \(was 0.0001, now 0.0002\).*augmentation.mirror \(was 0.5, now 0\).*--out"
    with pytest.raises(UserError, match=said):
        _fit(changed, clips, regions)
    with pytest.raises(UserError, match=r"other settings: data \(was [0-9a-f]{22}, now [0-9a-f]{22}\); continue"):
        _fit(_config(tmp_path, steps=1), clips[:2], regions)
    with pytest.raises(UserError, match=r"sync_weight|ablate \(was \[\], now \['syncloss'\]\)"):
        _fit(_config(tmp_path, steps=1, ablate=("syncloss",)), clips, regions)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_damaged_state_gives_way_to_the_one_before(
    tmp_path: Path, clips: list[MotionClip], regions: Regions, caplog: pytest.LogCaptureFixture
):
    whole = load_file(_fit(_config(tmp_path), clips, regions))
    older, newer = sorted(tmp_path.glob("state-*.pt"))
    newer.write_bytes(newer.read_bytes()[:5000])
    (tmp_path / ".tmp-left.pt").write_bytes(b"half")
    again = load_file(_fit(_config(tmp_path), clips, regions))
    assert all(torch.equal(again[name], whole[name]) for name in whole)
    assert f"{newer}: damaged" in caplog.text
    assert not (tmp_path / ".tmp-left.pt").exists()
    for path in (older, newer):
        path.write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"state-000000006\.pt: damaged, as is every state"):
        _fit(_config(tmp_path), clips, regions)


def test_micro_batches_change_no_result(tmp_path: Path, clips: list[MotionClip], regions: Regions):
    """Without dropout, whose masks are drawn in another order."""
    whole, parts = (
        load_file(_fit(_config(tmp_path / str(size), dropout=0.0, micro_batch=size), clips, regions)) for size in (0, 1)
    )
    for name, value in whole.items():
        torch.testing.assert_close(parts[name], value, rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_two_processes_learn_what_one_does(tmp_path: Path, clips: list[MotionClip], regions: Regions):
    """gloo; each takes half of every batch; without dropout, whose masks they draw apart."""
    script = _script(tmp_path, clips, "steps=2, batch=8, log_every=1, save_every=2, dropout=0.0")
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [*launch, *script, str(tmp_path / "two")], check=False, env=_environment(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["2 processes", "2 processes"]
    config = _config(tmp_path / "one", steps=2, batch=8, log_every=1, save_every=2, dropout=0.0)
    one, two = load_file(_fit(config, clips, regions)), load_file(tmp_path / "two" / "checkpoint.safetensors")
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-3, atol=1e-5)
    for first, second in zip(_losses(tmp_path / "one"), _losses(tmp_path / "two"), strict=True):
        wanted = {name: float(value) for name, value in first.items()}
        assert {name: float(value) for name, value in second.items()} == pytest.approx(wanted, rel=1e-3)


@pytest.mark.slow
def test_the_loss_falls_on_a_tiny_set(tmp_path: Path, clips: list[MotionClip], regions: Regions):
    config = _config(
        tmp_path,
        steps=60,
        batch=4,
        learning_rate=3e-3,
        warmup_steps=5,
        log_every=1,
        augmentation=STILL,
        save_every=1000,
    )
    path = _fit(config, clips[:1], regions)
    rows = _losses(tmp_path)
    first, last = ([float(row["noise"]) for row in part] for part in (rows[:8], rows[-12:]))
    assert len(rows) == 60
    assert sum(last) / len(last) < 0.75 * sum(first) / len(first)
    header = load_checkpoint(path).header
    assert header.account["clips"] == 1
    assert header.account["seconds"] == 2.0
    assert header.account["steps"] == 60
    assert header.account["training"]["learning_rate"] == 3e-3
    assert header.regions == regions
    assert re.fullmatch("[0-9a-f]{64}", header.data_fingerprint)
    assert str(tmp_path) not in str(header)


@pytest.fixture
def _other_precision() -> Iterator[None]:
    """accelerate keeps one precision a process."""
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state(True)
    yield
    AcceleratorState._reset_state(True)


@pytest.mark.usefixtures("_other_precision")
def test_bf16_learns_nearly_the_same(tmp_path: Path, clips: list[MotionClip], regions: Regions):
    _fit(_config(tmp_path / "half", steps=2, mixed_precision="bf16"), clips, regions)
    half = load_file(tmp_path / "half" / "checkpoint.safetensors")
    assert {value.dtype for value in half.values()} == {torch.float32}
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state(True)
    _fit(_config(tmp_path / "full", steps=2), clips, regions)
    lines = [{k: float(v) for k, v in _losses(tmp_path / name)[0].items()} for name in ("half", "full")]
    assert lines[0] == pytest.approx(lines[1], rel=0.03)
    assert lines[0] != lines[1]


@pytest.mark.parametrize("ablation", ["temporal", "disentangle", "hierarchical", "local", "syncloss"])
def test_every_ablation_trains(tmp_path: Path, clips: list[MotionClip], regions: Regions, ablation: str):
    header = load_checkpoint(_fit(_config(tmp_path, steps=2, ablate=(ablation,)), clips, regions)).header
    assert header.account["training"]["ablate"] == [ablation]
    if ablation == "syncloss":
        assert all(float(row["sync"]) == float(row["expert"]) == 0 for row in _losses(tmp_path))
    else:
        assert not getattr(header.model, ablation)


def test_out_of_memory_names_what_to_lower(
    tmp_path: Path, clips: list[MotionClip], regions: Regions, monkeypatch: pytest.MonkeyPatch
):
    def learn(*_: Any) -> None:
        torch.empty(1 << 60)  # the CPU allocator's own error

    monkeypatch.setattr(loop_module.Run, "go", learn)
    with pytest.raises(
        UserError, match=r"--micro-batch \(now 2\).*--batch \(2\).*--window-frames \(16\).*tiny"
    ) as raised:
        _fit(_config(tmp_path), clips, regions)
    assert "\n" not in str(raised.value)


def test_refusals_name_the_value(tmp_path: Path):
    for field, value in {
        "preset": "huge",
        "prediction": "noise",
        "ablate": ("nose",),
        "batch": 0,
        "audio_drop": 1.5,
        "learning_rate": float("nan"),
        "clip_norm": 0.0,
        "sync_weight": -0.01,
        "dropout": 1.0,
        "steps": 0,
        "log": "tensorboard",  # not installed where the tests run: it does not go with mediapipe
    }.items():
        with pytest.raises(UserError, match=rf"{field}|ablation.*{value[0] if isinstance(value, tuple) else value}"):
            _config(tmp_path, **{field: value})
    with pytest.raises(UserError):
        train(TrainConfig((tmp_path / "absent",), tmp_path / "out"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"mirror": 1.5}, "augmentation.mirror 1.5 is not between 0 and 1"),
        ({"speed": 1.0}, "augmentation.speed 1.0 is not between 0 and 0.9"),
        ({"tilt": -1.0}, "augmentation.tilt -1.0 is not 0 or more"),
        ({"noise_db": (-30.0, -70.0)}, "augmentation.noise_db -30.0 -70.0.*the lower first"),
    ],
)
def test_augmentation_must_be_possible(change: dict[str, Any], said: str):
    with pytest.raises(UserError, match=said):
        Augmentation(**change)


def test_a_launch_that_started_fewer_processes_than_asked_is_refused():
    """accelerate's own environment for one process of several on a CPU, and those of launches that are well."""
    asked = {"ACCELERATE_USE_CPU": "True", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"}
    with pytest.raises(UserError, match="torchrun --nproc-per-node=N"):
        check_launch(asked, 1)
    check_launch({**asked, "WORLD_SIZE": "2"}, 2)
    check_launch({"ACCELERATE_USE_CPU": "True"}, 1)
    check_launch({"MASTER_ADDR": "node-1"}, 1)


def test_training_takes_the_subspaces_of_a_file(sample_dataset: Path, tmp_path: Path):
    ratios = np.arange(64.0)
    own = select(ratios, ratios[::-1].copy(), FACE.hash, "planted")
    save_subspaces(own, tmp_path / "own.json")
    config = _config(tmp_path / "run", data=(sample_dataset,), subspaces=str(tmp_path / "own.json"), steps=1)
    header = load_checkpoint(train(config)).header
    assert header.regions == (own.eye, own.lip, own.global_)
    assert header.subspaces == "planted"
    few = select(ratios, ratios[::-1].copy(), FACE.hash, "planted", k_eye=3)
    save_subspaces(few, tmp_path / "few.json")
    with pytest.raises(UserError, match="3 eye dimensions; this network needs 8"):
        train(dataclasses.replace(config, subspaces=str(tmp_path / "few.json"), out=tmp_path / "other"))
