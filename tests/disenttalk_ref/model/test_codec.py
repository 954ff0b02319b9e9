import dataclasses
from collections.abc import Callable

import pytest
import torch

from disenttalk_ref.model import ModelConfig, MotionCodec

Draw = Callable[..., torch.Tensor]
REGIONS = (tuple(range(5, 63, 7)), (*range(5), 63), tuple(i for i in range(5, 63) if i % 7 != 5))
WHOLE = ModelConfig(*(len(region) for region in REGIONS))


@pytest.fixture(scope="module")
def motion(draw: Draw) -> torch.Tensor:
    """Correlated motion (1000, 70) whose head moves in other units than its face."""
    return (
        draw(1000, 70)
        @ (0.1 * draw(70, 70, seed=1) + torch.eye(70))
        * torch.cat([torch.ones(64), torch.full((6,), 0.02)])
        + 2
    )


def test_a_codec_of_full_width_loses_nothing_and_whitens_every_part(motion: torch.Tensor, draw: Draw):
    codec = MotionCodec(WHOLE)
    assert codec.fit(motion, REGIONS, draw(64).abs() + 0.5) == pytest.approx(1)
    latent = codec.encode(motion)
    assert torch.allclose(codec.decode(latent), motion, atol=1e-3)
    assert torch.allclose(latent.mean(0), torch.zeros(70), atol=1e-3)
    for name, part in WHOLE.latent_slices.items():
        found = latent[:, part]
        assert torch.allclose(found.T @ found / len(found), torch.eye(found.shape[1]), atol=1e-2), name


@pytest.mark.parametrize("name", ["eye", "lip", "global", "pose"])
def test_a_region_s_dimensions_reach_its_own_latents_alone(motion: torch.Tensor, name: str):
    codec = MotionCodec(WHOLE)
    codec.fit(motion, REGIONS, torch.ones(64))
    dimensions = dict(zip(("eye", "lip", "global", "pose"), (*REGIONS, tuple(range(64, 70))), strict=True))[name]
    changed = motion.clone()
    changed[:, list(dimensions)] += 1
    reached = (codec.encode(changed) != codec.encode(motion)).any(0).nonzero().flatten().tolist()
    assert reached == list(range(70)[WHOLE.latent_slices[name]])


def test_a_smaller_codec_keeps_what_moves_most(draw: Draw):
    strength = torch.full((64,), 0.01)
    strength[[0, 1, 6, 7]] = torch.tensor([3.0, 1.0, 3.0, 1.0])
    codec = MotionCodec(ModelConfig(1, 2, 1, pose_latent=0))
    explained = codec.fit(draw(5000, 64) * strength, ((0, 1), (6, 7), tuple(range(8, 64))), torch.ones(64))
    assert explained == pytest.approx((9 + 9 + 1) / 20, abs=0.02)


def test_displacement_decides_what_a_small_codec_keeps(draw: Draw):
    """Of two dimensions that vary alike, the one that moves more of the face is kept."""
    weight = torch.ones(64)
    weight[1] = 10
    codec = MotionCodec(ModelConfig(1, 1, 1, pose_latent=0))
    expression = draw(500, 64)
    codec.fit(expression, ((0, 1), (2,), (3,)), weight)
    kept = codec.decode(codec.encode(expression)) - codec.mean
    assert kept[:, 0].std() < 0.2
    assert kept[:, 1].std() > 0.8


def test_without_disentanglement_one_block_mixes_all_of_expression_and_no_pose(motion: torch.Tensor):
    mixed = dataclasses.replace(WHOLE, disentangle=False)
    codec = MotionCodec(mixed)
    codec.fit(motion, REGIONS, torch.ones(64))
    changed = motion.clone()
    changed[:, 0] += 1
    reached = (codec.encode(changed) != codec.encode(motion)).any(0)
    assert int(reached[:64].sum()) > 60
    assert not reached[64:].any()


def test_one_block_of_a_size_keeps_at_least_what_regions_of_that_size_keep(motion: torch.Tensor):
    small = ModelConfig(3, 3, 6)
    found = [
        MotionCodec(dataclasses.replace(small, disentangle=disentangle)).fit(motion, REGIONS, torch.ones(64))
        for disentangle in (True, False)
    ]
    assert found[1] > found[0]
