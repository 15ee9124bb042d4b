"""ExcessMTL: steps by hand, the first excess, what small and large gradients do."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from mtl_jax.aggregation import ExcessMTL

KEY = jax.random.key(0)


def run(method, steps):
    """Weights of each step, on rows `[K, p]`."""
    state, found = method.init(len(steps[0]), jnp.zeros(len(steps[0][0]))), []
    combine = jax.jit(method.combine)
    for rows in steps:
        gradient, weights, state = combine(jnp.array(rows, jnp.float32), state, KEY)
        np.testing.assert_allclose(gradient, np.array(weights) @ np.array(rows), rtol=1e-4)
        found.append(weights)
    return np.array(found)


def softmax(values):
    return np.exp(values) / np.exp(values).sum()


def test_by_hand():
    found = run(ExcessMTL(step_size=0.5), [[[3.0], [1.0]], [[4.0], [0.0]], [[0.0], [1.0]]])
    # First excess 3 and 1. Then 16 / 5 and 0; then 0 and 1 / sqrt(2).
    np.testing.assert_allclose(found[0], [0.5, 0.5], rtol=1e-6)
    exponents = np.array([0.5 * 3.2 / 3, 0.0])
    np.testing.assert_allclose(found[1], softmax(exponents), rtol=1e-5)
    exponents += [0.0, 0.5 / math.sqrt(2)]
    np.testing.assert_allclose(found[2], softmax(exponents), rtol=1e-5)


def test_a_warmup_averages_the_first_excess():
    found = run(
        ExcessMTL(step_size=1.0, warmup=2), [[[3.0], [1.0]], [[4.0], [1.0]], [[5.0], [1.0]]]
    )
    np.testing.assert_allclose(found[:2], 0.5, rtol=1e-6)
    first = np.array([(3 + 16 / 5) / 2, (1 + 1 / math.sqrt(2)) / 2])
    excess = np.array([25 / math.sqrt(50), 1 / math.sqrt(3)])
    np.testing.assert_allclose(found[2], softmax(excess / first), rtol=1e-5)  # by hand


def test_a_task_without_a_gradient_at_first_is_measured_later():
    found = run(ExcessMTL(step_size=1.0), [[[3.0], [0.0]], [[4.0], [2.0]], [[0.0], [2.0]]])
    np.testing.assert_allclose(found[0], [0.5, 0.5], rtol=1e-6)
    np.testing.assert_allclose(found[1], softmax(np.array([3.2 / 3, 1.0])), rtol=1e-5)
    wanted = softmax(np.array([3.2 / 3, 1.0 + 1 / math.sqrt(2)]))
    np.testing.assert_allclose(found[2], wanted, rtol=1e-5)  # by hand: 4 / sqrt(8) over 2.


def test_the_unit_of_a_task_does_not_matter():
    steps = np.random.default_rng(0).normal(size=(4, 3, 6))
    units = np.array([1e-10, 1.0, 1e15])[:, None]  # The reference code's weights differ.
    method = ExcessMTL(step_size=0.3)
    state = other = method.init(3, jnp.zeros(6))
    combine = jax.jit(method.combine)
    for rows in steps:
        _, weights, state = combine(jnp.array(rows, jnp.float32), state, KEY)
        _, found, other = combine(jnp.array(units * rows, jnp.float32), other, KEY)
        np.testing.assert_allclose(found, weights, rtol=1e-5)
    assert np.ptp(weights) > 0.01
