"""The losses and the networks that they look through."""

from pathlib import Path

import pytest
import torch

from chdtf.errors import UserError
from disenttalk_ref.render.pirenderer.losses import LossWeights, gram, load_features, pyramid, total_loss


def vgg19_state() -> dict[str, torch.Tensor]:
    """Random weights under torchvision's names; the numbers are places in its sequence of layers."""
    generator = torch.Generator().manual_seed(0)
    numbers = (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28)
    widths = (64, 64, 128, 128, 256, 256, 256, 256, 512, 512, 512, 512, 512)
    state, inputs = {}, 3
    for number, width in zip(numbers, widths, strict=True):
        state[f"features.{number}.weight"] = torch.randn(width, inputs, 3, 3, generator=generator) * 0.05
        state[f"features.{number}.bias"] = torch.randn(width, generator=generator) * 0.05
        inputs = width
    return state


def test_vgg19_is_compared_after_the_first_convolution_of_each_size(tmp_path: Path):
    state = vgg19_state()
    torch.save(state, tmp_path / "vgg19.pth")
    features = load_features(f"vgg19:{tmp_path / 'vgg19.pth'}")
    assert features is not None
    image = torch.rand(1, 3, 32, 32) * 2 - 1
    x = ((image + 1) / 2 - torch.tensor([0.485, 0.456, 0.406]).reshape(1, 3, 1, 1)) / torch.tensor(
        [0.229, 0.224, 0.225]
    ).reshape(1, 3, 1, 1)
    wanted = []
    for number in range(30):
        if f"features.{number}.weight" in state:
            x = torch.nn.functional.conv2d(
                x, state[f"features.{number}.weight"], state[f"features.{number}.bias"], padding=1
            ).relu()
            wanted += [x] if number in {0, 5, 10, 19, 28} else []
        elif number in {4, 9, 18, 27}:
            x = torch.nn.functional.max_pool2d(x, 2)
    for found, expected in zip(features(image), wanted, strict=True):
        torch.testing.assert_close(found, expected)


def test_alexnet_is_that_of_lpips(shared: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DISENTBENCH_WEIGHTS", str(shared / "weights"))
    features = load_features("alexnet")
    assert features is not None
    shapes = [tuple(found.shape[1:]) for found in features(torch.zeros(1, 3, 256, 256))]
    assert shapes == [(64, 63, 63), (192, 31, 31), (384, 15, 15), (256, 15, 15), (256, 15, 15)]


def test_the_loss_is_zero_for_the_target_alone_and_names_its_terms(tmp_path: Path):
    torch.save(vgg19_state(), tmp_path / "vgg19.pth")
    features = load_features(f"vgg19:{tmp_path / 'vgg19.pth'}")
    target, other = torch.rand(1, 3, 32, 32) * 2 - 1, torch.rand(1, 3, 32, 32) * 2 - 1
    same, _ = total_loss(target, target, target, features, LossWeights())
    assert float(same) == 0
    loss, terms = total_loss(other, other, target, features, LossWeights())
    assert set(terms) == {"warp_pixels", "pixels", "warp", "content", "style"}
    assert float(loss) == pytest.approx(sum(terms.values()), rel=1e-5)
    assert set(total_loss(other, None, target, None, LossWeights())[1]) == {"warp_pixels"}
    _, paper = total_loss(other, other, target, features, LossWeights(pixels=0))
    assert paper["pixels"] == 0
    assert paper["style"] == pytest.approx(terms["style"])


def test_gram_matrices_forget_places():
    x = torch.randn(2, 3, 4, 4)
    torch.testing.assert_close(gram(x), gram(x.flip(-1)))
    torch.testing.assert_close(gram(x)[1, 0, 2], (x[1, 0] * x[1, 2]).sum() / 48)


def test_a_pyramid_ends_at_32_px():
    assert [part.shape[-1] for part in pyramid(torch.zeros(1, 3, 256, 256), 8)] == [256, 128, 64, 32]
    assert [part.shape[-1] for part in pyramid(torch.zeros(1, 3, 256, 256), 2)] == [256, 128]


def test_networks_that_are_not_there_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DISENTBENCH_WEIGHTS", str(tmp_path))
    assert load_features("none") is None
    with pytest.raises(UserError, match="weights fetch alexnet"):
        load_features("alexnet")
    with pytest.raises(UserError, match="'vgg19' is not known"):
        load_features("vgg19")
    with pytest.raises(UserError, match=r"no such file; VGG-19's weights are torchvision's"):
        load_features(f"vgg19:{tmp_path / 'absent.pth'}")
    torch.save({"features.0.weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(UserError, match="not the weights of torchvision's VGG-19"):
        load_features(f"vgg19:{tmp_path / 'other.pth'}")
