import dataclasses
from collections.abc import Callable

import pytest
import torch

from disenttalk_ref.model import PRESETS, Denoiser, ModelConfig

Draw = Callable[..., torch.Tensor]
Make = Callable[[ModelConfig], Denoiser]


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("pose_latent", [0, 6])
def test_every_preset_keeps_the_shape_of_its_latent(draw: Draw, name: str, pose_latent: int):
    config = dataclasses.replace(PRESETS[name], blocks=2, pose_latent=pose_latent)
    zt, audio = draw(2, 7, config.num_latent), draw(2, 7, config.audio_width)
    assert Denoiser(config)(zt, torch.tensor([1, 400]), audio).shape == zt.shape


def test_tiny_fits_its_budget():
    assert 4 * sum(p.numel() for p in Denoiser(PRESETS["tiny"]).parameters()) < 10e6


def test_future_audio_beyond_the_lookahead_does_not_reach_the_encoded_past(net: Denoiser, draw: Draw):
    audio = draw(1, 20, net.config.audio_width)
    changed = audio.clone()
    changed[:, 12:] += 1
    same = (net.audio(audio) == net.audio(changed)).all(-1)[0]
    assert same.tolist() == [i < 12 for i in range(20)]


def test_audio_encoded_once_is_the_same_audio(net: Denoiser, draw: Draw):
    zt, t, audio = draw(3, 9, net.config.num_latent), torch.tensor([5, 70, 300]), draw(3, 9, 10, seed=1)
    dropped = torch.tensor([True, False, True])
    assert torch.equal(net(zt, t, net.hear(audio)), net(zt, t, audio))
    assert torch.equal(net(zt, t, net.hear(audio, dropped)), net(zt, t, audio, dropped))


@pytest.mark.parametrize("frames", [1, 9, 80])
def test_nothing_heard_is_dropped_audio(net: Denoiser, draw: Draw, frames: int):
    zt, t, audio = draw(2, frames, net.config.num_latent), torch.tensor([5, 300]), draw(2, frames, 10, seed=1)
    dropped = net(zt, t, audio, torch.tensor([True, True]))
    assert torch.allclose(net(zt, t, None), dropped, atol=1e-5)
    assert not torch.allclose(net(zt, t, audio), dropped, atol=1e-2)


def test_without_audio_the_audio_does_not_matter(net: Denoiser, draw: Draw):
    zt, t = draw(2, 9, net.config.num_latent), torch.tensor([5, 300])
    first, second = draw(2, 9, 10, seed=1), draw(2, 9, 10, seed=2)
    dropped = torch.tensor([True, False])
    same = [torch.equal(*pair) for pair in zip(*(net(zt, t, a, dropped) for a in (first, second)), strict=True)]
    assert same == [True, False]


def test_film_makes_the_timestep_matter(net: Denoiser, draw: Draw):
    zt, audio = draw(1, 9, net.config.num_latent), draw(1, 9, 10)
    assert not torch.allclose(net(zt, torch.tensor([5]), audio), net(zt, torch.tensor([300]), audio))


def test_windows_of_a_batch_do_not_see_each_other(net: Denoiser, draw: Draw):
    zt, t, audio = draw(2, 9, net.config.num_latent), torch.tensor([5, 300]), draw(2, 9, 10, seed=1)
    alone = torch.cat([net(zt[i : i + 1], t[i : i + 1], audio[i : i + 1]) for i in range(2)])
    assert torch.allclose(net(zt, t, audio), alone, atol=1e-5)


def test_every_parameter_learns(small: ModelConfig, make: Make, draw: Draw):
    net = make(small).requires_grad_(True)
    zt, audio, dropped = draw(4, 9, small.num_latent), draw(4, 9, 10, seed=1), torch.tensor([True, False, False, False])
    net(zt, torch.tensor([1, 20, 300, 400]), audio, dropped).square().sum().backward()
    still = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    assert still == []
