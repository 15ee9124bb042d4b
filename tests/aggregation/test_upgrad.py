"""UPGrad: known answers, what preference and ridge do, and degenerate gradients."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.aggregation import UPGrad
from mtl_jax.core.validation import BadInput

KEY = jax.random.key(0)
GRAM = jnp.array([[18.0, -22.0], [-22.0, 38.0]])


@functools.cache
def compiled(method):
    return jax.jit(lambda gram: method.weigh_gram(gram, (), KEY)[0])


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([[-4.0, 1.0, 1.0], [6.0, 1.0, 1.0]], [1.1109, 0.7894]),  # torchjd 0.18.0, UPGrad.
        ([[1.0, 0.0], [1.0, 1.0]], [0.5, 0.5]),  # no conflict: the mean.
        (np.ones((6, 6)), [1 / 6] * 6),  # torchjd 0.18.0, UPGrad.
        ([[0.0, 0.0], [-1.0, 1.0]], [0.5, 0.5]),  # a zero row does nothing.
        ([[1.0, 0.0], [-2.0, 0.0]], [1.5, 0.75]),  # opposed, by hand: half of PCGrad's.
        ([[0.0, 0.0], [0.0, 0.0]], [0.5, 0.5]),
        ([[-3.0]], [1.0]),
    ],
)
def test_values(rows, expected):
    rows = jnp.array(rows)
    np.testing.assert_allclose(compiled(UPGrad())(rows @ rows.T), expected, rtol=1e-3)


def test_preference_weighs_the_projections():
    both = compiled(UPGrad(preference=(3.0, 0.5)))(GRAM)
    first = compiled(UPGrad(preference=(1.0, 0.0)))(GRAM)
    second = compiled(UPGrad(preference=(0.0, 1.0)))(GRAM)
    np.testing.assert_allclose(both, 3.0 * first + 0.5 * second, rtol=1e-5)
    np.testing.assert_allclose(first, [1.0, 22 / 38], rtol=1e-3)  # by hand: one projection.
    np.testing.assert_allclose(
        compiled(UPGrad(preference=(0.5, 0.5)))(GRAM), compiled(UPGrad())(GRAM)
    )


def test_the_ridge_is_relative_and_moves_the_answer_to_the_preference():
    off = compiled(UPGrad(ridge=1e6))(GRAM)
    np.testing.assert_allclose(off, [0.5, 0.5], atol=1e-5)
    exact = compiled(UPGrad(ridge=0.0))(GRAM)
    np.testing.assert_allclose(exact, [0.5 + 11 / 18, 0.5 + 11 / 38], rtol=1e-6)  # by hand.
    np.testing.assert_allclose(compiled(UPGrad())(GRAM), exact, rtol=1e-3)


def test_it_still_works_near_a_stationary_point():
    small = compiled(UPGrad())(1e-12 * GRAM)  # The reference code averages here.
    np.testing.assert_allclose(small, compiled(UPGrad())(GRAM), rtol=1e-5)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"preference": (1.0, -1.0)}, r"UPGrad.preference must be a tuple .* not \(1.0, -1.0\)"),
        ({"preference": (1.0, math.nan)}, "UPGrad.preference must be a tuple"),
        ({"preference": (True, 1.0)}, "UPGrad.preference must be a tuple"),
    ],
)
def test_bad_settings(settings, text):
    with pytest.raises(BadInput, match=text):
        UPGrad(**settings)


def test_a_preference_for_another_number_of_tasks_is_refused():
    method = UPGrad(preference=(1.0, 2.0, 3.0))
    with pytest.raises(BadInput, match="must have 2 numbers, not"):
        method.init(2)
    with pytest.raises(BadInput, match="must have 2 numbers, not"):
        method.weigh_gram(GRAM, (), KEY)
    assert method.init(3) == ()
