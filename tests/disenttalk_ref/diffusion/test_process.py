import pytest
import torch

from disenttalk_ref.diffusion import PREDICTIONS, Diffusion, guided
from disenttalk_ref.diffusion.samplers import sampler_names


@pytest.mark.parametrize("step", [1, 100, 250, 400])
def test_q_sample_has_the_mean_and_variance_of_equation_3(step: int):
    diffusion = Diffusion(400)
    generator = torch.Generator().manual_seed(step)
    z0 = torch.tensor([[[1.5, -0.5]]]).expand(1, 200_000, 2)
    zt = diffusion.q_sample(z0, torch.tensor([step]), torch.randn(z0.shape, generator=generator))
    beta = float(diffusion.noise[step])
    expected = (1 - beta) ** 0.5 * z0[0, 0]
    assert torch.allclose(zt[0].mean(0), expected, atol=0.01)
    assert torch.allclose(zt[0].var(0), torch.full((2,), beta), rtol=0.02, atol=1e-5)


def test_noise_equals_the_product_of_single_steps():
    """beta_t given Z_0 is 1 - prod(1 - b_i) for increments b_i in (0, 1) that grow: a valid Markov chain."""
    noise = Diffusion(400).noise.double()
    increments = 1 - (1 - noise[1:]) / (1 - noise[:-1])
    assert noise[0] == 0
    assert noise[-1] > 0.999
    assert bool(((increments > 0) & (increments < 1)).all())
    assert torch.allclose(1 - torch.cumprod(1 - increments, 0), noise[1:], atol=1e-6)


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_estimate_inverts_target(prediction: str):
    diffusion = Diffusion(400, prediction)
    z0, epsilon = torch.randn(3, 5, 4, generator=torch.Generator().manual_seed(0)), torch.randn(3, 5, 4)
    t = torch.tensor([3, 150, 320])
    zt = diffusion.q_sample(z0, t, epsilon)
    found, noise = diffusion.estimate(zt, t, diffusion.target(z0, t, epsilon))
    assert torch.allclose(found, z0, atol=1e-4)
    assert torch.allclose(noise, epsilon, atol=1e-3)


@pytest.mark.parametrize("sampler", sampler_names())
@pytest.mark.parametrize("num_steps", [1, 4, 10, 50])
def test_every_sampler_recovers_z0_from_a_perfect_epsilon(num_steps: int, sampler: str):
    diffusion = Diffusion(400)
    z0 = torch.randn(2, 6, 3, generator=torch.Generator().manual_seed(1))

    def oracle(zt: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        kept, noise = diffusion.scales(t)
        return (zt - kept * z0) / noise

    found = diffusion.sample(
        oracle, torch.randn(2, 6, 3, generator=torch.Generator().manual_seed(2)), num_steps, sampler
    )
    assert torch.allclose(found, z0, atol=2e-3)


def test_guidance_of_one_is_the_conditional_prediction():
    conditional, unconditional = torch.randn(2, 3), torch.randn(2, 3)
    assert torch.equal(guided(conditional, unconditional, 1.0), conditional)
    assert torch.equal(guided(conditional, unconditional, 0.0), unconditional)
    assert torch.allclose(guided(conditional, unconditional, 3.0) - conditional, 2 * (conditional - unconditional))
