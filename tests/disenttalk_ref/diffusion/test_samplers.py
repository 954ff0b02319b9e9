"""Data N(m, s^2): the best estimate of Z_0 and the law of every Z_t are known in closed form."""

import itertools
import math
from collections.abc import Callable

import pytest
import torch

from chdtf.errors import UserError
from disenttalk_ref.diffusion import Diffusion, Predict
from disenttalk_ref.diffusion.samplers import load_sampler, sampler_names

MEAN, DEVIATION = 1.2, 0.4


def _best(diffusion: Diffusion, deviation: float = DEVIATION) -> Predict:
    """E[Z_0 | Z_t] of the Gaussian, as a network that predicts Z_0, in double precision."""

    def predict(zt: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        level = diffusion.level(int(t[0]))
        share = level.kept * deviation**2 / (level.kept**2 * deviation**2 + level.noise**2)
        return MEAN + share * (zt - level.kept * MEAN)

    return predict


def _exact(diffusion: Diffusion, start: torch.Tensor, last: int) -> torch.Tensor:
    """Where the probability flow carries `start` by step `last`: each quantile of a Gaussian stays that quantile."""

    def law(t: int) -> tuple[float, float]:
        level = diffusion.level(t)
        return level.kept * MEAN, math.hypot(level.kept * DEVIATION, level.noise)

    (mean, deviation), (last_mean, last_deviation) = law(diffusion.steps), law(last)
    return last_mean + last_deviation * (start - mean) / deviation


def _start(count: int = 20_000, seed: int = 3) -> torch.Tensor:
    return torch.randn(1, count, 1, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _noise(seed: int, like: torch.Tensor) -> Callable[[], torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return lambda: torch.randn(like.shape, generator=generator, dtype=like.dtype)


def test_the_folder_is_the_registry():
    assert sampler_names() == ["ddim", "ddpm", "dpmpp"]
    with pytest.raises(UserError, match="'euler' is not known; choose one of ddim, ddpm, dpmpp"):
        load_sampler("euler")


@pytest.mark.parametrize("sampler", ["ddim", "dpmpp"])
def test_solvers_transport_the_gaussian_to_the_data(sampler: str):
    diffusion, start = Diffusion(400, "z0"), _start()
    found = diffusion.sample(_best(diffusion), start, 100, sampler)
    assert float(found.mean()) == pytest.approx(MEAN, abs=0.02)
    assert float(found.std()) == pytest.approx(DEVIATION, rel=0.02)


@pytest.mark.parametrize(("sampler", "order"), [("ddim", 1), ("dpmpp", 2)])
def test_order_of_convergence_to_the_exact_flow(sampler: str, order: int):
    """The error falls with the number of steps n as n^-order."""
    diffusion, last = Diffusion(50_000, "z0"), 10_000
    start = torch.linspace(-2, 2, 9, dtype=torch.float64)[None, :, None]
    errors = []
    ratio = ((1 - diffusion.noise[1:]).log() - diffusion.noise[1:].log()).flip(0) / 2  # of steps T..1: rises
    for count in (16, 32, 64):
        wanted = torch.linspace(float(ratio[0]), float(ratio[diffusion.steps - last]), count + 1, dtype=ratio.dtype)
        times = (diffusion.steps - torch.searchsorted(ratio, wanted.clamp(max=float(ratio[-1])))).tolist()
        found = diffusion.sample(_best(diffusion), start, times, sampler, limit=math.inf)
        errors.append(float((found - _exact(diffusion, start, times[-1])).abs().max()))
    slopes = [math.log2(a / b) for a, b in itertools.pairwise(errors)]
    assert slopes == pytest.approx([order, order], abs=0.3)


@pytest.mark.parametrize("steps", [1, 3, 10])
def test_ddpm_is_exact_in_law_at_every_step_for_a_single_point(steps: int):
    """Data without spread: after any number of any steps, Z_t has the mean and variance of Eq. 3."""
    diffusion, start = Diffusion(400, "z0"), _start()
    times = (400, *range(300, 300 - 20 * steps, -20))
    found = diffusion.sample(_best(diffusion, 0.0), start, times, "ddpm", _noise(1, start))
    level = diffusion.level(times[-1])
    assert float(found.mean()) == pytest.approx(level.kept * MEAN, abs=0.02)
    assert float(found.std()) == pytest.approx(level.noise, rel=0.02)


@pytest.mark.parametrize("steps", [5, 40, 400])
def test_ddpm_has_the_law_that_its_steps_compose_to(steps: int):
    """Affine maps of Gaussians: mean and variance follow by recursion from Ho et al.'s posterior q(z_s | z_t, z_0)."""
    diffusion, start = Diffusion(400, "z0"), _start()
    found = diffusion.sample(_best(diffusion), start, steps, "ddpm", _noise(2, start))
    mean, variance = 0.0, 1.0
    for now, then in itertools.pairwise(diffusion.times(steps)):
        kept, beta = 1 - float(diffusion.noise[now]), float(diffusion.noise[now])
        kept_s, beta_s = 1 - float(diffusion.noise[then]), float(diffusion.noise[then])
        step = 1 - kept / kept_s  # the increment of Ho et al., over several of theirs
        of_z0, of_zt = math.sqrt(kept_s) * step / beta, math.sqrt(1 - step) * beta_s / beta  # their Eq. 7
        share = math.sqrt(kept) * DEVIATION**2 / (kept * DEVIATION**2 + beta)
        slope = of_zt + of_z0 * share
        mean = slope * mean + of_z0 * (1 - share * math.sqrt(kept)) * MEAN
        variance = slope**2 * variance + step * beta_s / beta
    assert float(found.mean()) == pytest.approx(mean, abs=0.015)
    assert float(found.std()) == pytest.approx(math.sqrt(variance), rel=0.02)
    if steps == 400:
        assert math.sqrt(variance) == pytest.approx(DEVIATION, rel=0.02)
        assert mean == pytest.approx(MEAN, abs=0.01)


def test_one_step_of_dpmpp_is_one_step_of_ddim():
    """To t = 0, and to a step between."""
    diffusion, start = Diffusion(400, "z0"), _start(50)
    for times in ((400, 0), (400, 150), (90, 30)):
        ddim, dpmpp = (diffusion.sample(_best(diffusion), start, times, name) for name in ("ddim", "dpmpp"))
        assert torch.allclose(ddim, dpmpp, atol=1e-12)


@pytest.mark.parametrize("sampler", sampler_names())
def test_the_noise_decides(sampler: str):
    """The same noise gives the same bits, also from a sampler used before; DDPM alone needs more than the start."""
    diffusion, start = Diffusion(400, "z0"), _start(30)
    one, two, other = (diffusion.sample(_best(diffusion), start, 6, sampler, _noise(seed, start)) for seed in (1, 1, 2))
    assert torch.equal(one, two)
    assert torch.equal(one, other) == (sampler != "ddpm")


@pytest.mark.parametrize("total", [1, 2, 7, 40, 150])
def test_times_fall_from_the_noisiest_step_to_zero(total: int):
    diffusion = Diffusion(total)
    for count in range(1, total + 1):
        times = diffusion.times(count)
        assert (len(times), times[0], times[-1]) == (count + 1, total, 0)
        assert all(a > b for a, b in itertools.pairwise(times))
    for count in (0, total + 1):
        with pytest.raises(ValueError, match="sampling steps"):
            diffusion.times(count)
