"""A small network as if it were trained, and random numbers that a seed names."""

from collections.abc import Callable

import pytest
import torch

from disenttalk_ref.model import Denoiser, ModelConfig


@pytest.fixture(scope="session")
def small() -> ModelConfig:
    return ModelConfig(
        *(3, 4, 5), eye_width=8, lip_width=12, global_width=4, blocks=3, heads=2, audio_width=10, dropout=0.0
    )


@pytest.fixture(scope="session")
def draw() -> Callable[..., torch.Tensor]:
    """Normal numbers of a shape."""

    def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
        return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))

    return drawn


@pytest.fixture(scope="session")
def make() -> Callable[[ModelConfig], Denoiser]:
    """A network whose FiLM and empty condition, which start at zero, have moved as in training."""

    def made(config: ModelConfig) -> Denoiser:
        torch.manual_seed(0)
        net = Denoiser(config).eval().requires_grad_(False)
        for block in net.blocks:
            torch.nn.init.normal_(block.film.weight, std=0.1)
        torch.nn.init.normal_(net.silent)
        return net

    return made


@pytest.fixture(scope="session")
def net(small: ModelConfig, make: Callable[[ModelConfig], Denoiser]) -> Denoiser:
    return make(small)
