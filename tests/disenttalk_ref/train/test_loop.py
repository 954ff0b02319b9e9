import csv
import dataclasses
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from chdtf.dataset import MotionClip
from chdtf.errors import UserError
from chdtf.morphable.model import load_model
from disenttalk_ref.checkpoint import load_checkpoint
from disenttalk_ref.subspaces import save_subspaces, select
from disenttalk_ref.train import TrainConfig, fit, train
from disenttalk_ref.train.batches import Augmentation

STILL = Augmentation(mirror=0, speed=0, warp=0, gain_db=0, tilt=0, noise_db=(-90, -90), pause=0)


def _config(out: Path, **changes: Any) -> TrainConfig:
    config = TrainConfig(
        (), out, steps=6, batch=2, window_frames=16, warmup_steps=2, threads=1, log_every=1, save_every=3
    )
    return dataclasses.replace(config, **changes)


def test_a_resumed_run_ends_where_an_uninterrupted_one_does(
    tmp_path: Path, clips: list[MotionClip], regions: tuple[tuple[int, ...], ...]
):
    face = load_model("mp468")
    whole = fit(_config(tmp_path / "whole"), clips, face, regions)

    class Stopped(Exception):
        pass

    def stop(step: int, steps: int, losses: dict[str, float]) -> None:
        if step == 4:  # after the save at 3
            raise Stopped

    with pytest.raises(Stopped):
        fit(_config(tmp_path / "parts"), clips, face, regions, progress=stop)
    parts = fit(_config(tmp_path / "parts"), clips, face, regions)
    first, second = load_file(whole), load_file(parts)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_another_configuration_does_not_continue(
    tmp_path: Path, clips: list[MotionClip], regions: tuple[tuple[int, ...], ...]
):
    face = load_model("mp468")
    fit(_config(tmp_path, steps=1), clips, face, regions)
    with pytest.raises(UserError, match=r"state\.pt.*--out"):
        fit(_config(tmp_path, steps=1, learning_rate=2e-4), clips, face, regions)


@pytest.mark.slow
def test_the_loss_falls_on_a_tiny_set(tmp_path: Path, clips: list[MotionClip], regions: tuple[tuple[int, ...], ...]):
    config = _config(
        tmp_path, steps=60, batch=4, learning_rate=3e-3, warmup_steps=5, augmentation=STILL, save_every=1000
    )
    path = fit(config, clips[:1], load_model("mp468"), regions)
    with (tmp_path / "train.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    first, last = ([float(row["noise"]) for row in part] for part in (rows[:8], rows[-12:]))
    assert len(rows) == 60
    assert sum(last) / len(last) < 0.6 * sum(first) / len(first)
    header = load_checkpoint(path).header
    assert header.account["clips"] == 1
    assert header.account["seconds"] == 2.0
    assert header.account["steps"] == 60
    assert header.account["training"]["learning_rate"] == 3e-3
    assert header.regions == regions
    shutil.rmtree(tmp_path)


def test_refusals_name_the_value(tmp_path: Path):
    with pytest.raises(UserError, match=r"huge.*tiny"):
        TrainConfig((), tmp_path, preset="huge")
    with pytest.raises(UserError, match=r"noise.*epsilon"):
        TrainConfig((), tmp_path, prediction="noise")
    with pytest.raises(UserError):
        train(TrainConfig((tmp_path / "absent",), tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_training_takes_the_subspaces_of_a_file(sample_dataset: Path, tmp_path: Path):
    face = load_model("mp468")
    ratios = np.arange(64.0)
    own = select(ratios, ratios[::-1].copy(), face.hash, "planted")
    save_subspaces(own, tmp_path / "own.json")
    config = _config(tmp_path / "run", data=(sample_dataset,), subspaces=str(tmp_path / "own.json"), steps=1)
    header = load_checkpoint(train(config)).header
    assert header.regions == (own.eye, own.lip, own.global_)
    assert header.account["subspaces"] == "planted"
    few = select(ratios, ratios[::-1].copy(), face.hash, "planted", k_eye=3)
    save_subspaces(few, tmp_path / "few.json")
    with pytest.raises(UserError, match="3 eye dimensions; this network needs 8"):
        train(dataclasses.replace(config, subspaces=str(tmp_path / "few.json"), out=tmp_path / "other"))
