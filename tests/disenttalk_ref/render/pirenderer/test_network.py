"""The network computes what the paper says, has the published names and shapes, and shares work without changing it."""

import dataclasses

import numpy as np
import pytest
import torch
from torch.nn import functional as F  # noqa: N812

from disenttalk_ref.render.pirenderer.blocks import AdaIN, LayerNorm, ResidualAdaIN
from disenttalk_ref.render.pirenderer.config import PRESETS, NetworkConfig
from disenttalk_ref.render.pirenderer.flow import warp
from disenttalk_ref.render.pirenderer.network import PIRendererNetwork, listing_sha256
from disenttalk_ref.render.pirenderer.semantics import padded, window

TINY = PRESETS["tiny"]
SIDE = 64


@pytest.fixture(scope="module")
def network() -> PIRendererNetwork:
    torch.manual_seed(0)
    made = PIRendererNetwork(dataclasses.replace(TINY, semantics=9)).eval()
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return made


def test_the_published_sizes_give_the_published_names_and_shapes():
    """The listing equalled that of RenYurui/PIRender at 9e59f19, whose outputs on equal random weights ours equalled.

    In float64, on 128 px: 5e-13 in the warped image, 1e-12 in the finished one.
    """
    with torch.device("meta"):
        network = PIRendererNetwork()
    assert len(network.state_dict()) == 304
    assert sum(tensor.numel() for tensor in network.state_dict().values()) == 22_519_109
    assert listing_sha256(network) == "192d6c59d3ed3ac88fd735f4fed6e763f469b4b78b2578f0cd6b9cdc5e0015ae"


def test_norms_are_layer_and_instance_normalisation():
    x = torch.randn(3, 5, 8, 6) * 4 + 2
    layer = LayerNorm(5)
    torch.nn.init.normal_(layer.weight)
    torch.nn.init.normal_(layer.bias)
    weight, bias = (part.expand(5, 8, 6) for part in (layer.weight, layer.bias))
    torch.testing.assert_close(layer(x), F.layer_norm(x, (5, 8, 6), weight, bias))
    adaptive, z = AdaIN(5, 4, 7), torch.randn(3, 4)
    hidden = F.relu(adaptive.mlp_shared(z))
    gamma, beta = (part(hidden)[..., None, None] for part in (adaptive.mlp_gamma, adaptive.mlp_beta))
    torch.testing.assert_close(adaptive(x, z), F.instance_norm(x) * (1 + gamma) + beta)


def test_a_published_residual_block_has_no_use_for_its_first_convolution():
    x, z = torch.randn(2, 6, 8, 8), torch.randn(2, 4)
    for depth, matters in ((1, False), (2, True)):
        block = ResidualAdaIN(6, 4, 5, depth)
        before = block(x, z)
        torch.nn.init.zeros_(block.conv1.weight)
        assert bool((block(x, z) - before).abs().max() > 1e-3) == matters


def test_descriptors_of_a_clip_are_those_of_its_windows(network: PIRendererNetwork):
    radius = network.config.radius_frames
    series = np.random.default_rng(0).standard_normal((6, 9)).astype(np.float32)
    with torch.no_grad():
        together = network.mapping_net(padded(series, radius))[0].T
        alone = [network.mapping_net(torch.from_numpy(window(series, k, radius))[None])[0, :, 0] for k in range(6)]
    torch.testing.assert_close(together, torch.stack(alone), atol=1e-4, rtol=1e-4)


def test_a_flow_moves_the_picture_as_far_as_it_says():
    image = torch.rand(1, 3, 65, 65)
    moved = warp(image, torch.tensor([8.0, 4.0]).reshape(1, 2, 1, 1).expand(1, 2, 65, 65))
    still = warp(image, torch.zeros(1, 2, 65, 65))
    step = 65 / 64  # of the sampled grid: corners at -1 and 1, sampled as if those were the outer edges
    inner = F.grid_sample(
        image,
        torch.stack(
            torch.meshgrid(
                (torch.arange(65.0) / 32 - 1) + 4 * 2 / 64, (torch.arange(65.0) / 32 - 1) + 8 * 2 / 64, indexing="ij"
            )[::-1],
            dim=-1,
        )[None],
        align_corners=False,
    )
    torch.testing.assert_close(moved, inner, atol=1e-5, rtol=0)
    assert step > 1
    assert (still[..., 32, 32] - image[..., 32, 32]).abs().max() < 1e-5  # the centre stays


def test_one_prepared_source_gives_what_a_copy_for_every_frame_gives(network: PIRendererNetwork):
    image, z = torch.rand(1, 3, SIDE, SIDE) * 2 - 1, torch.randn(3, TINY.descriptor)
    with torch.no_grad():
        shared = network.render(network.prepare(image), z)
        copied = network.render(network.prepare(image.expand(3, -1, -1, -1)), z)
    assert shared.image is not None
    assert copied.image is not None
    torch.testing.assert_close(shared.image, copied.image, atol=2e-3, rtol=0)
    torch.testing.assert_close(shared.warped, copied.warped, atol=2e-3, rtol=0)
    assert shared.image.shape == (3, 3, SIDE, SIDE)
    assert (shared.image[0] - shared.image[1]).abs().max() > 0.01  # the descriptor matters


def test_sizes_that_cannot_be_are_refused(network: PIRendererNetwork):
    with pytest.raises(ValueError, match="radius"):
        NetworkConfig(radius_frames=9)
    with pytest.raises(ValueError, match="residual_depth"):
        NetworkConfig(residual_depth=3)
    with pytest.raises(ValueError, match="warp_up"):
        NetworkConfig(warp_up=5)
    with pytest.raises(ValueError, match="100x64 px, not a multiple of 32"):
        network.prepare(torch.zeros(1, 3, 64, 100))
