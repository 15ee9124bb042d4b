"""Balance: one gradient of many, at one price or the other, and whose is whose."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import aggregation, weighting
from mtl_jax.balance import balance, cosines

KEY = jax.random.key(0)
# Row k is the gradient of task k: two conflict, one is at right angles to both.
SHARED = np.array([[2.0, 0.0, 0.0], [-1.0, 1.0, 0.0], [0.0, 0.0, 3.0]], np.float32)
TASKS = 10.0 * np.eye(3, dtype=np.float32)
LOSSES = jnp.array([1.0, 2.0, 3.0])


def pullback(cotangent):
    return {
        "shared": {"a": cotangent @ SHARED[:, :2], "b": cotangent @ SHARED[:, 2:]},
        "tasks": cotangent @ TASKS,
    }


@dataclasses.dataclass(frozen=True)
class Fixed:
    """A Gram method with given weights, that hands on what it saw."""

    def init(self, num_tasks):
        return jnp.zeros(())

    def weigh_gram(self, gram, state, key):
        return jnp.array([0.5, 1.0, -2.0]) + 0.0 * gram[0], state + gram.sum()


def flat(gradient):
    return np.concatenate([gradient["shared"]["a"], gradient["shared"]["b"]])


def test_equal_is_the_gradient_of_the_sum():
    def losses_of(params):
        return jnp.stack(
            [(params["shared"] ** 2).sum(), (params["tasks"] * params["shared"]).sum()]
        )

    params = {"shared": jnp.array([1.0, -2.0]), "tasks": jnp.array([3.0, 0.5])}
    losses, pull = jax.vjp(losses_of, params)
    found = balance(weighting.Equal(), losses, lambda c: pull(c)[0], (), KEY)
    expected = jax.grad(lambda p: losses_of(p).sum())(params)
    jax.tree.map(np.testing.assert_allclose, found.gradient, expected)
    np.testing.assert_array_equal(found.weights, [1.0, 1.0])
    assert found.cosines is None


def test_a_loss_weighting_pays_one_pass():
    calls = []

    def counted(cotangent):
        calls.append(cotangent)
        return pullback(cotangent)

    balance(weighting.Equal(), LOSSES, counted, (), KEY)
    assert len(calls) == 1
    np.testing.assert_array_equal(calls[0], [1.0, 1.0, 1.0])


def test_a_gram_method_on_a_jacobian_by_hand():
    found = jax.jit(lambda losses: balance(Fixed(), losses, pullback, jnp.float32(1.0), KEY))(
        LOSSES
    )
    np.testing.assert_allclose(flat(found.gradient), [0.0, 1.0, -6.0])
    # What belongs to a task keeps that task's gradient, whatever its weight.
    np.testing.assert_allclose(found.gradient["tasks"], [10.0, 10.0, 10.0])
    np.testing.assert_allclose(found.weights, [0.5, 1.0, -2.0])
    np.testing.assert_allclose(found.state, 1.0 + 4 + 2 + 9 - 2 * 2)  # 1 + the Gram's sum.
    root = np.sqrt(0.5)
    np.testing.assert_allclose(found.cosines, [[1, -root, 0], [-root, 1, 0], [0, 0, 1]], atol=1e-6)


def test_pcgrad_of_two_by_hand():
    """(2, 0) and (-1, 1): each off the other is (1, 1) and (0, 1)."""
    found = balance(
        aggregation.PCGrad(), LOSSES[:2], lambda c: pullback(jnp.append(c, 0.0)), (), KEY
    )
    np.testing.assert_allclose(flat(found.gradient)[:2], [1.0, 2.0], rtol=1e-5)


def test_the_state_goes_round():
    method = weighting.Uncertainty()
    state = method.init(3)
    once = balance(method, LOSSES, pullback, state, KEY)
    twice = balance(method, LOSSES, pullback, once.state, KEY)
    np.testing.assert_allclose(once.weights, [0.5, 0.5, 0.5])
    assert (np.asarray(twice.weights) != 0.5).any()
    np.testing.assert_allclose(flat(once.gradient), once.weights @ SHARED, rtol=1e-6)


def test_cosines_beside_a_zero_gradient_are_zero():
    found = cosines(jnp.array([[4.0, 0.0], [0.0, 0.0]]))
    np.testing.assert_array_equal(found, [[1.0, 0.0], [0.0, 0.0]])


def test_what_weighs_nothing_is_refused():
    with pytest.raises(
        TypeError, match=r"balance needs weigh_losses, .* or combine; 'sum' has none"
    ):
        balance("sum", LOSSES, pullback, (), KEY)
