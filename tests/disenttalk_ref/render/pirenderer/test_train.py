"""Training learns to move the picture, and a run that was killed goes on as if it had not been."""

import csv
import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from chdtf.errors import UserError
from chdtf.morphable.model import load_model
from disenttalk_ref.render.pirenderer.checkpoint import load_renderer_checkpoint, read_header
from disenttalk_ref.render.pirenderer.config import NetworkConfig
from disenttalk_ref.render.pirenderer.data import PairSampler
from disenttalk_ref.render.pirenderer.losses import LossWeights
from disenttalk_ref.render.pirenderer.semantics import FIT
from disenttalk_ref.render.pirenderer.train import RendererTrainConfig, fit_renderer

NARROW = NetworkConfig(
    descriptor=32,
    adain=16,
    warp_base=8,
    warp_down=4,
    warp_up=2,
    edit_base=8,
    edit_down=2,
    edit_residuals=1,
    residual_depth=2,
    max_channels=32,
)
CONFIG = RendererTrainConfig(
    data=(Path("drawn"),), batch=4, learning_rate=2e-3, perceptual="none", log_every=1, ema_decay=0.9, decay_step=60
)
MODEL = load_model("mp468")


def psnr(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return float(10 * torch.log10(4 / (found - wanted).square().mean()))


@pytest.mark.slow
def test_a_narrow_network_learns_to_open_the_mouth(drawn: list[Any], tmp_path: Path):
    config = dataclasses.replace(CONFIG, out=tmp_path, steps=80, warp_steps=10)
    header, network = load_renderer_checkpoint(fit_renderer(config, drawn, MODEL, network=NARROW))
    sampler = PairSampler(drawn, MODEL, FIT, 13)
    pairs = sampler.draw(24, seed=1, step=0)
    with torch.no_grad():
        _, image = network(pairs.source, pairs.windows)
    sampler.close()
    copying, learnt = psnr(pairs.source, pairs.target), psnr(image, pairs.target)
    assert learnt > copying + 2.5  # dB
    assert header.network == dataclasses.replace(NARROW, semantics=70)
    assert (header.face_model, header.face_model_hash, header.layout) == ("mp468", MODEL.hash, "fit")
    assert header.account["perceptual"] == "none"
    assert header.account["stage"] == "edit"
    assert header.account["clip_ids"] == ["disc_0", "disc_1"]
    rows = list(csv.DictReader((tmp_path / "train.csv").open()))
    assert [row["pixels"] == "" for row in rows] == [True] * 10 + [False] * 70  # the first stage warps alone


class KilledError(Exception):
    """In place of a signal."""


def test_a_killed_run_ends_as_an_uninterrupted_one(drawn: list[Any], tmp_path: Path):
    def kill(step: int, steps: int, losses: dict[str, float]) -> None:
        if step == 5:
            raise KilledError

    config = dataclasses.replace(CONFIG, steps=7, warp_steps=3, save_every=4, batch=2)
    straight = fit_renderer(dataclasses.replace(config, out=tmp_path / "a"), drawn, MODEL, network=NARROW)
    broken = dataclasses.replace(config, out=tmp_path / "b")
    with pytest.raises(KilledError):
        fit_renderer(broken, drawn, MODEL, kill, NARROW)
    assert not (tmp_path / "b" / "renderer.safetensors").exists()
    seen: list[int] = []
    resumed = fit_renderer(broken, drawn, MODEL, lambda step, *_: seen.append(step), NARROW)
    assert seen == [5, 6, 7]  # from the state of step 4
    steps = [int(row["step"]) for row in csv.DictReader((tmp_path / "b" / "train.csv").open())]
    assert steps == [1, 2, 3, 4, 5, 6, 7]
    (_, one), (_, other) = load_renderer_checkpoint(straight), load_renderer_checkpoint(resumed)
    assert all(torch.equal(tensor, other.state_dict()[name]) for name, tensor in one.state_dict().items())
    assert read_header(straight).account["steps"] == 7
    with pytest.raises(UserError, match="made with other settings or data"):
        fit_renderer(dataclasses.replace(broken, losses=LossWeights(pixels=1)), drawn, MODEL, network=NARROW)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"preset": "huge"}, "preset 'huge' is not known; choose one of paper, small, tiny"),
        ({"mixed_precision": "fp8"}, "mixed_precision 'fp8' is not known"),
        ({"batch": 0}, "batch 0 is not 1 or more"),
    ],
)
def test_settings_that_cannot_be_are_refused(changed: dict[str, Any], message: str):
    with pytest.raises(UserError, match=message):
        dataclasses.replace(CONFIG, **changed)
