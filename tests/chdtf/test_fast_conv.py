"""Cook-Toom convolutions: the numbers of the direct ones, for every size that a tile can be cut from."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from chdtf.fast_conv import FastConv2d, cook_toom


@pytest.mark.parametrize(("outputs", "taps"), [(1, 1), (2, 3), (4, 3), (6, 5), (2, 4), (5, 2)])
def test_transforms_are_a_correlation_with_fewest_products(outputs: int, taps: int) -> None:
    """Exact in rational numbers: y[i] = sum_k g[k] d[i + k] from outputs + taps - 1 products."""
    a, g, b = cook_toom(outputs, taps)
    assert a.shape == (outputs, outputs + taps - 1)
    kernel = np.arange(2, 2 + taps)
    data = np.arange(outputs + taps - 1) ** 2 - 7
    exact = [sum(Fraction(int(kernel[k])) * int(data[i + k]) for k in range(taps)) for i in range(outputs)]
    np.testing.assert_allclose(a @ ((g @ kernel) * (b @ data)), [float(y) for y in exact], rtol=1e-11, atol=1e-11)


def test_more_points_than_round_well_are_refused() -> None:
    with pytest.raises(ValueError, match=r"F\(8, 5\) needs 11 points, 9 are known"):
        cook_toom(8, 5)


@given(
    kernel=st.integers(1, 4),
    stride=st.integers(1, 2),
    padding=st.integers(0, 1),
    height=st.integers(5, 23),
    width=st.integers(5, 23),
    count=st.integers(1, 3),
    tile=st.integers(2, 5),
)
@settings(max_examples=30, deadline=None)
def test_it_is_the_direct_convolution(
    kernel: int, stride: int, padding: int, height: int, width: int, count: int, tile: int
) -> None:
    generator = torch.Generator().manual_seed(kernel + 10 * height)
    weight = torch.randn(5, 3, kernel, kernel, generator=generator)
    bias = torch.randn(5, generator=generator)
    pictures = torch.randn(count, height, width, 3, generator=generator)
    found = FastConv2d(weight, bias, stride, padding, tile)(pictures)
    expected = torch.nn.functional.conv2d(
        pictures.permute(0, 3, 1, 2).double(), weight.double(), bias.double(), stride, padding
    )
    np.testing.assert_allclose(
        found.numpy(), expected.permute(0, 2, 3, 1).numpy(), atol=1e-5 * float(expected.abs().max())
    )


def test_rounding_stays_that_of_a_direct_convolution() -> None:
    """At SyncNet's sizes the mean error is at most three times the one of 32-bit sums in order."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(32, 96, 5, 5, generator=generator) / 49
    pictures = torch.rand(1, 30, 30, 96, generator=generator)
    last = pictures.permute(0, 3, 1, 2)
    exact = torch.nn.functional.conv2d(last.double(), weight.double(), stride=2, padding=1)
    direct = torch.nn.functional.conv2d(last, weight, stride=2, padding=1)
    fast = FastConv2d(weight, torch.zeros(32), 2, 1)(pictures).permute(0, 3, 1, 2)
    assert (fast - exact).abs().mean() < 3 * (direct - exact).abs().mean()
    assert (fast - exact).abs().mean() < 2e-6 * exact.abs().mean()
