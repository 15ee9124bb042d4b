"""MGDA: known answers, and what it does with degenerate gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.aggregation import MGDA
from mtl_jax.core.validation import BadInput

weigh = jax.jit(lambda gram: MGDA().weigh_gram(gram, (), jax.random.key(0))[0])


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([[-4.0, 1.0, 1.0], [6.0, 1.0, 1.0]], [0.6, 0.4]),  # torchjd 0.18.0, the Jacobian
        # of its tests; by hand too.
        ([[2.0, 0.0], [0.0, 1.0]], [0.2, 0.8]),  # by hand: 1/4 against 1.
        ([[1.0, 0.0], [3.0, 1.0]], [1.0, 0.0]),  # by hand: the short one decides.
        ([[0.0, 0.0], [3.0, 1.0]], [1.0, 0.0]),  # a zero row takes all.
        ([[1.0, 1.0], [-3.0, -3.0]], [0.75, 0.25]),  # opposed: the sum is zero.
        ([[0.0, 0.0], [0.0, 0.0]], [0.5, 0.5]),
        ([[3.0, -1.0]], [1.0]),
        ([[1.0, 0.0], [-1.0, 1.0], [-1.0, -1.0]], [0.5, 0.25, 0.25]),  # by hand: zero inside.
    ],
)
def test_values(rows, expected):
    rows = jnp.array(rows)
    np.testing.assert_allclose(weigh(rows @ rows.T), expected, rtol=1e-5, atol=1e-7)


def test_duplicated_gradients_share_a_weight():
    rows = np.random.default_rng(0).normal(size=(3, 6)).astype("float32")
    alone, twice = rows, rows[[0, 1, 2, 2]]
    expected, weights = weigh(alone @ alone.T), weigh(twice @ twice.T)
    np.testing.assert_allclose(weights[2] + weights[3], expected[2], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(weights @ twice, expected @ alone, atol=1e-6)


def normalized(kind, rows, losses=None):
    method, rows = MGDA(normalization=kind), jnp.array(rows)
    state = method.init(len(rows))
    if losses is not None:
        state = method.pre_step(jnp.array(losses), state)
    return jax.jit(method.weigh_gram)(rows @ rows.T, state, jax.random.key(0))[0]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("none", [0.2, 0.8]),  # by hand: 1/4 against 1, as below.
        ("l2", [0.5, 0.5]),
        ("loss", [9 / 13, 4 / 13]),  # lengths 2/3 and 1/1: 1/4 * 9 against 1.
        ("loss+", [0.9, 0.1]),  # lengths 1/3 and 1/1: 9 against 1.
    ],
)
def test_normalization(kind, expected):
    found = normalized(kind, [[2.0, 0.0], [0.0, 1.0]], [3.0, 1.0])
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_losses_before_the_first_and_degenerate_ones():
    rows = [[2.0, 0.0], [0.0, 1.0]]
    np.testing.assert_allclose(normalized("loss", rows), [0.2, 0.8], rtol=1e-5)
    np.testing.assert_allclose(normalized("loss", rows, [0.0, 0.0]), [0.2, 0.8], rtol=1e-5)
    np.testing.assert_allclose(normalized("loss+", rows, [1.0, 0.0]), [1.0, 0.0], atol=1e-5)
    np.testing.assert_allclose(normalized("loss", rows, [3e30, 1e30]), [9 / 13, 4 / 13], rtol=1e-5)
    assert np.isnan(normalized("loss", rows, [1.0, np.nan])).all()
    np.testing.assert_allclose(normalized("l2", [[0.0, 0.0], [0.0, 1.0]]), [1.0, 0.0], atol=1e-6)


@pytest.mark.parametrize("normalization", ["loss ", None])
def test_bad_settings(normalization):
    with pytest.raises(
        BadInput, match=r"MGDA.normalization must be one of none, l2, loss, loss\+, not"
    ):
        MGDA(normalization)
