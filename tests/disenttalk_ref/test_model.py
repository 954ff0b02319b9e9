import dataclasses

import pytest
import torch

from disenttalk_ref.model import PRESETS, AudioInteraction, Denoiser, ModelConfig, MotionCodec, RegionAttention

SMALL = ModelConfig(
    *(3, 4, 5), eye_width=8, lip_width=12, global_width=4, blocks=3, heads=2, audio_width=10, dropout=0.0
)


def _random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def denoiser() -> Denoiser:
    torch.manual_seed(0)
    net = Denoiser(SMALL).eval()
    for block in net.blocks:  # as if trained: FiLM starts as the identity
        torch.nn.init.normal_(block.film.weight, std=0.1)
    return net


def test_every_preset_keeps_the_shape_of_its_latent():
    for name, config in PRESETS.items():
        small = dataclasses.replace(config, blocks=2)
        zt, audio = _random(2, 7, sum(config.latents)), _random(2, 7, config.audio_width)
        assert Denoiser(small)(zt, torch.tensor([1, 400]), audio).shape == zt.shape, name


def test_tiny_fits_its_budget():
    assert 4 * sum(p.numel() for p in Denoiser(PRESETS["tiny"]).parameters()) < 10e6


@pytest.mark.parametrize("region", range(3))
def test_regions_do_not_see_each_other_before_fusion(region: int):
    torch.manual_seed(0)
    attention = RegionAttention(SMALL)
    x = _random(2, 9, SMALL.width)
    changed = x.clone()
    start = sum(SMALL.widths[:region])
    changed[..., start : start + SMALL.widths[region]] += _random(2, 9, SMALL.widths[region], seed=1)
    before, after = attention.regions(x), attention.regions(changed)
    assert [torch.equal(a, b) for a, b in zip(before, after, strict=True)] == [i != region for i in range(3)]
    fused = attention(x) != attention(changed)
    assert bool(fused.any(0).any(0).all())  # W_f mixes every channel


@pytest.mark.parametrize("lookahead", [0, 3])
def test_cross_attention_hears_the_past_the_lookahead_and_no_more(lookahead: int):
    torch.manual_seed(0)
    config = dataclasses.replace(SMALL, audio_lookahead_frames=lookahead, audio_context_frames=6)
    interaction = AudioInteraction(config)
    x, audio = _random(1, 20, SMALL.width), _random(1, 20, SMALL.width, seed=1)
    changed = audio.clone()
    changed[:, 10] += 1
    heard = (interaction.listen(x, audio) != interaction.listen(x, changed)).any(-1)[0]
    assert heard.nonzero().flatten().tolist() == list(range(10 - lookahead, 10 + 6 + 1))


def test_future_audio_beyond_the_lookahead_does_not_reach_the_encoded_past(denoiser: Denoiser):
    audio = _random(1, 20, SMALL.audio_width)
    changed = audio.clone()
    changed[:, 12:] += 1
    same = (denoiser.audio(audio) == denoiser.audio(changed)).all(-1)[0]
    assert same.tolist() == [i < 12 for i in range(20)]


def test_without_audio_the_audio_does_not_matter(denoiser: Denoiser):
    zt, t = _random(2, 9, 12), torch.tensor([5, 300])
    first, second = _random(2, 9, 10, seed=1), _random(2, 9, 10, seed=2)
    dropped = torch.tensor([True, False])
    same = [torch.equal(*pair) for pair in zip(*(denoiser(zt, t, a, dropped) for a in (first, second)), strict=True)]
    assert same == [True, False]


def test_film_makes_the_timestep_matter(denoiser: Denoiser):
    zt, audio = _random(1, 9, 12), _random(1, 9, 10)
    assert not torch.allclose(denoiser(zt, torch.tensor([5]), audio), denoiser(zt, torch.tensor([300]), audio))


def test_skip_connections_carry_the_early_blocks(denoiser: Denoiser):
    """With every skip weight on the early half at zero, the output changes: the path is in use."""
    zt, t, audio = _random(1, 9, 12), torch.tensor([50]), _random(1, 9, 10)
    before = denoiser(zt, t, audio)
    for skip in denoiser.skips:
        skip.weight.data[:, SMALL.width :] = 0
    assert not torch.allclose(before, denoiser(zt, t, audio))


def test_codec_is_exact_at_full_width_and_keeps_regions_apart():
    regions = ((5, 1, 8), (0, 2, 9, 7), (3, 4, 6))
    expression = _random(500, 10) @ _random(10, 10, seed=1) + 2
    codec = MotionCodec(10, 10)
    assert codec.fit(expression, regions, (3, 4, 3), torch.rand(10) + 0.5) == pytest.approx(1)
    latent = codec.encode(expression)
    assert torch.allclose(codec.decode(latent), expression, atol=1e-4)
    assert torch.allclose(latent.mean(0), torch.zeros(10), atol=1e-4)
    for part in latent.split([3, 4, 3], -1):
        assert torch.allclose(part.T @ part / len(part), torch.eye(part.shape[1]), atol=1e-3)
    changed = expression.clone()
    changed[:, list(regions[0])] += 1
    assert (codec.encode(changed) != latent).any(0).tolist() == [True] * 3 + [False] * 7


def test_a_smaller_codec_keeps_what_moves_most():
    expression = _random(500, 6) * torch.tensor([3.0, 1.0, 0.1, 3.0, 1.0, 0.1])
    codec = MotionCodec(6, 4)
    explained = codec.fit(expression, ((0, 1, 2), (3, 4, 5), ()), (2, 2, 0), torch.ones(6))
    assert explained == pytest.approx(20 / 20.02, abs=1e-3)
