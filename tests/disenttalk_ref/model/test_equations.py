"""Eq. 4-7 against an implementation in NumPy, frame by frame, written from the paper."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.special import erf
from torch import nn

from disenttalk_ref.model import Denoiser, ModelConfig
from disenttalk_ref.model.attention import FAR, Attention
from disenttalk_ref.model.denoiser import time_embedding
from disenttalk_ref.model.interaction import AudioInteraction

Draw = Callable[..., torch.Tensor]
T = 11


def numbers(tensor: torch.Tensor) -> np.ndarray:
    found: np.ndarray = tensor.detach().double().numpy()
    return found


def linear(layer: nn.Module, x: np.ndarray) -> np.ndarray:
    found: np.ndarray = x @ numbers(layer.weight).T + numbers(layer.bias)
    return found


def norm(layer: nn.Module, x: np.ndarray) -> np.ndarray:
    centred = x - x.mean(-1, keepdims=True)
    found: np.ndarray = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
    return found * numbers(layer.weight) + numbers(layer.bias)


def gelu(x: np.ndarray) -> np.ndarray:
    found: np.ndarray = x * (1 + erf(x / np.sqrt(2))) / 2
    return found


def attention(layer: Attention, x: np.ndarray, keys: np.ndarray, sees: Callable[[int, int], bool]) -> np.ndarray:
    """One frame, one head at a time: (T, D), (T, D) -> (T, D)."""
    frames, width = x.shape
    size = width // layer.heads
    query, both, bias = linear(layer.query, x), linear(layer.key_value, keys), numbers(layer.bias)
    mixed = np.zeros_like(x)
    for head in range(layer.heads):
        part = slice(head * size, (head + 1) * size)
        key, value = both[:, :width][:, part], both[:, width:][:, part]
        for i in range(frames):
            seen = [j for j in range(frames) if sees(i, j)]
            logits = np.array(
                [query[i, part] @ key[j] / np.sqrt(size) + bias[head, np.clip(j - i, -FAR, FAR) + FAR] for j in seen]
            )
            weights = np.exp(logits) / np.exp(logits).sum()
            mixed[i, part] = sum(w * value[j] for w, j in zip(weights, seen, strict=True))
    return linear(layer.out, mixed)


def convolution(layer: nn.Conv1d, x: np.ndarray, dilation: int) -> np.ndarray:
    """Same length, zeros outside, window and channels explicit: (T, C) -> (T, C)."""
    weight, (size,) = numbers(layer.weight), layer.kernel_size
    made = np.tile(numbers(layer.bias), (len(x), 1))
    for i in range(len(x)):
        for tap in range(size):
            j = i + (tap - size // 2) * dilation
            if 0 <= j < len(x):
                depthwise = weight.shape[1] == 1
                made[i] += weight[:, 0, tap] * x[j] if depthwise else weight[:, :, tap] @ x[j]
    return made


def spatial(block: nn.Module, x: np.ndarray) -> np.ndarray:
    """Eq. 4."""
    edges = np.cumsum([0, *block.spatial.widths])
    attended = []
    for r, layer in enumerate(block.spatial.attentions):
        own = norm(block.spatial.norms[r], x[:, edges[r] : edges[r + 1]])
        attended.append(attention(layer, own, own, lambda i, j: True))
    return linear(block.spatial.fuse, np.concatenate(attended, -1))


def temporal(block: nn.Module, x: np.ndarray) -> np.ndarray:
    """Eq. 5."""
    normed = norm(block.temporal.norm, x)
    scales = [convolution(layer, normed, 2**i) for i, layer in enumerate(block.temporal.depthwise)]
    return linear(block.temporal.pointwise, gelu(np.concatenate(scales, -1)))


def interaction(block: nn.Module, x: np.ndarray, audio: np.ndarray, config: ModelConfig) -> np.ndarray:
    """Eq. 6."""
    normed, part = norm(block.interaction.norm, x), block.interaction
    back, ahead = config.audio_context_frames, config.audio_lookahead_frames
    heard = attention(part.cross, normed, audio, lambda i, j: i - back <= j <= i + ahead)
    return linear(part.out, gelu(np.concatenate([convolution(part.local, normed, 1), heard], -1)))


def modulated(block: nn.Module, x: np.ndarray, time: np.ndarray) -> np.ndarray:
    """Eq. 7."""
    gamma, beta = np.split(linear(block.film, time), 2)
    return (1 + gamma) * x + beta


@pytest.fixture(scope="module")
def near(small: ModelConfig) -> ModelConfig:
    """Audio is heard from 3 frames back to 2 ahead, so that both limits lie within a clip."""
    return dataclasses.replace(small, audio_context_frames=3, audio_lookahead_frames=2)


@pytest.fixture(scope="module")
def trained(near: ModelConfig, make: Callable[[ModelConfig], Denoiser]) -> Denoiser:
    return make(near)


def same(ours: torch.Tensor, theirs: np.ndarray) -> bool:
    return np.allclose(numbers(ours[0]), theirs, atol=2e-5)


def test_eq_4(trained: Denoiser, near: ModelConfig, draw: Draw):
    x = draw(1, T, near.width)
    assert same(trained.blocks[0].spatial(x), spatial(trained.blocks[0], numbers(x[0])))


def test_eq_5(trained: Denoiser, near: ModelConfig, draw: Draw):
    x = draw(1, T, near.width)
    assert same(trained.blocks[0].temporal(x), temporal(trained.blocks[0], numbers(x[0])))


@pytest.mark.parametrize("length", [1, 4, 30])
def test_eq_5_is_the_same_with_and_without_gradients(trained: Denoiser, near: ModelConfig, draw: Draw, length: int):
    part, x = trained.blocks[0].temporal, draw(2, length, near.width)
    modules = torch.cat([layer(x.transpose(1, 2)) for layer in part.depthwise], 1).transpose(1, 2)
    assert torch.allclose(part.scales(x), modules, atol=1e-6)
    with torch.no_grad():
        assert torch.allclose(part.scales(x), modules, atol=1e-6)


def test_eq_6(trained: Denoiser, near: ModelConfig, draw: Draw):
    x, audio = draw(1, T, near.width), draw(1, T, near.width, seed=1)
    part = trained.blocks[0].interaction
    assert same(part(x, part.hear(audio)), interaction(trained.blocks[0], numbers(x[0]), numbers(audio[0]), near))


def test_eq_4_to_7_add_up_in_a_block(trained: Denoiser, near: ModelConfig, draw: Draw):
    x, audio, time = draw(1, T, near.width), draw(1, T, near.width, seed=1), draw(1, near.width, seed=2)
    block = trained.blocks[0]
    f = numbers(x[0]) + spatial(block, numbers(x[0]))
    f = f + temporal(block, f)
    f = f + modulated(block, interaction(block, f, numbers(audio[0]), near), numbers(time[0]))
    assert same(block(x, block.interaction.hear(audio), time), f)


def test_blocks_are_joined_as_in_the_figure(make: Callable[[ModelConfig], Denoiser], small: ModelConfig, draw: Draw):
    """Five blocks: what leaves the first enters the last, what leaves the second the last but one, newest first."""
    net = make(dataclasses.replace(small, blocks=5))
    zt, audio, t = draw(2, T, small.num_latent), draw(2, T, 10, seed=1), torch.tensor([7, 300])
    heard, time = net.hear(audio), net.time(time_embedding(t, small.width))
    x = torch.cat([net.enter[0](zt[..., :3]), net.enter[1](zt[..., 3:7]), net.enter[2](zt[..., 7:])], -1)
    first = net.blocks[0](x, heard[0], time)
    second = net.blocks[1](first, heard[1], time)
    third = net.blocks[2](second, heard[2], time)
    fourth = net.blocks[3](net.skips[0](torch.cat([third, second], -1)), heard[3], time)
    fifth = net.blocks[4](net.skips[1](torch.cat([fourth, first], -1)), heard[4], time)
    parts = [net.leave[i](net.norms[i](part)) for i, part in enumerate(fifth.split(list(small.widths), -1))]
    assert torch.allclose(net(zt, t, audio), torch.cat(parts, -1), atol=1e-6)


@pytest.mark.parametrize("length", [1, 2, FAR, FAR + 1, FAR + 2, 3 * FAR])
def test_a_bias_belongs_to_an_offset_and_far_ones_share_theirs(length: int, draw: Draw):
    layer = Attention(4, 2, 1.0, back=FAR + 1, ahead=3)
    layer.bias.data = draw(2, 2 * FAR + 1)
    offset = torch.arange(length)[None] - torch.arange(length)[:, None]  # key minus query
    wanted = layer.bias[:, offset.clamp(-FAR, FAR) + FAR]
    wanted = wanted.masked_fill((offset > 3) | (offset < -FAR - 1), -torch.inf)
    assert torch.equal(layer.offset_bias(length), wanted)


def test_the_receptive_fields_of_eq_5_are_dilations_1_2_and_4(trained: Denoiser, near: ModelConfig, draw: Draw):
    part = trained.blocks[0].temporal
    x = draw(1, 21, near.width)
    changed = x.clone()
    changed[:, 10] = draw(near.width, seed=1)

    def reached(f: Callable[[torch.Tensor], torch.Tensor]) -> list[int]:
        moved = (f(x) != f(changed)).any(-1)[0].nonzero().flatten()
        return [int(i) - 10 for i in moved]

    for i, layer in enumerate(part.depthwise):
        wanted = [-(2**i), 0, 2**i]
        assert reached(lambda y, one=layer: one(y.transpose(1, 2)).transpose(1, 2)) == wanted  # type: ignore[misc]
    assert reached(part) == [-4, -2, -1, 0, 1, 2, 4]


@pytest.mark.parametrize("region", range(3))
def test_regions_do_not_see_each_other_before_fusion(trained: Denoiser, near: ModelConfig, draw: Draw, region: int):
    attend = trained.blocks[0].spatial
    x = draw(2, 9, near.width)
    changed = x.clone()
    start = sum(near.widths[:region])
    changed[..., start : start + near.widths[region]] += draw(2, 9, near.widths[region], seed=1)
    before, after = attend.regions(x), attend.regions(changed)
    assert [torch.equal(a, b) for a, b in zip(before, after, strict=True)] == [i != region for i in range(3)]
    fused = attend(x) != attend(changed)
    assert bool(fused.any(0).any(0).all())  # W_f mixes every channel


@pytest.mark.parametrize("lookahead", [0, 3])
def test_cross_attention_hears_the_past_the_lookahead_and_no_more(small: ModelConfig, draw: Draw, lookahead: int):
    torch.manual_seed(0)
    config = dataclasses.replace(small, audio_lookahead_frames=lookahead, audio_context_frames=6)
    part = AudioInteraction(config)
    x, audio = draw(1, 20, small.width), draw(1, 20, small.width, seed=1)
    changed = audio.clone()
    changed[:, 10] += 1
    heard = (part.listen(x, part.hear(audio)) != part.listen(x, part.hear(changed))).any(-1)[0]
    assert heard.nonzero().flatten().tolist() == list(range(10 - lookahead, 10 + 6 + 1))
