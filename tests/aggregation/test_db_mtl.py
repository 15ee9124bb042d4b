"""DB-MTL: two steps by hand, losses of zero and below, and what is refused."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.aggregation import DBMTL

KEY = jax.random.key(0)
ROWS = np.array([[3.0, 4.0], [0.0, -2.0]], "float32")


@functools.partial(jax.jit, static_argnums=0)
def two_steps(method, losses, rows):
    state, found = method.init(2, jnp.zeros(2)), []
    for _ in range(2):
        gradient, shares, state = method.combine(rows, method.pre_step(losses, state), KEY)
        found.append((gradient, shares))
    return found


@pytest.mark.parametrize("decay", [0.0, 0.5])
def test_by_hand(decay):
    losses, tracked = np.array([2.0, 0.5]), np.zeros((2, 2))
    method = DBMTL(momentum=0.8, decay=decay)
    for step, found in enumerate(two_steps(method, losses.astype("float32"), ROWS), 1):
        part = 0.8 / step**decay
        tracked = part * tracked + (1 - part) * ROWS / losses[:, None]
        sizes = np.linalg.norm(tracked, axis=1)
        np.testing.assert_allclose(found[1], sizes.max() / sizes, rtol=1e-5)
        np.testing.assert_allclose(found[0], (sizes.max() / sizes) @ tracked, rtol=1e-5)


def test_without_momentum_by_hand():
    (gradient, shares), _ = two_steps(DBMTL(momentum=0.0), jnp.array([2.0, 0.5]), ROWS)
    np.testing.assert_allclose(shares, [1.6, 1.0], rtol=1e-6)  # by hand: lengths 2.5 and 4.
    np.testing.assert_allclose(gradient, [2.4, -0.8], rtol=1e-5)


def test_the_unit_of_a_loss_does_not_matter():
    wanted = two_steps(DBMTL(), jnp.array([2.0, 0.5]), ROWS)
    units = np.array([1e-8, 1e8], "float32")
    found = two_steps(DBMTL(), units * np.array([2.0, 0.5], "float32"), units[:, None] * ROWS)
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one[0], other[0], rtol=1e-5)


def test_a_loss_of_zero_leaves_its_row_out():
    (gradient, shares), _ = two_steps(DBMTL(momentum=0.0), jnp.array([2.0, 0.0]), ROWS)
    np.testing.assert_allclose(gradient, [1.5, 2.0], rtol=1e-6)  # by hand
    np.testing.assert_allclose(shares, [1.0, 0.0])


@pytest.mark.parametrize("loss", [-1.0, np.nan])
def test_a_loss_without_logarithm_is_not_hidden(loss):
    (gradient, shares), _ = two_steps(DBMTL(), jnp.array([2.0, loss]), ROWS)
    assert np.isnan(gradient).all() and np.isnan(shares).all()
