"""FAMO: weights that even out the logs, what it learns after a step, and tasks left out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.core.validation import BadInput
from mtl_jax.weighting import FAMO

KEY = jax.random.key(0)


def test_first_weights_even_out_the_logs(variant):
    method = FAMO(min_losses=(1.0, 0.0))
    weights, state = variant(method.weigh_losses)(jnp.array([3.0, 6.0]), method.init(2), KEY)
    np.testing.assert_allclose(weights, [0.75, 0.25], rtol=1e-6)  # by hand: D = (2, 6).
    np.testing.assert_array_equal(state.losses, [3.0, 6.0])
    np.testing.assert_array_equal(state.logits, [0.0, 0.0])


def test_the_task_that_fell_further_loses_weight(variant):
    method = FAMO(learning_rate=0.1, gamma=0.0)
    losses = jnp.array([2.0, 4.0])
    _, state = method.weigh_losses(losses, method.init(2), KEY)
    state = variant(method.post_step)(jnp.array([1.0, 3.9]), state)
    # By hand: Adam's first step is the rate times the sign.
    np.testing.assert_allclose(state.logits, [-0.1, 0.1], rtol=1e-4)
    weights, _ = method.weigh_losses(losses, state, KEY)
    z = np.exp([-0.1, 0.1]) / np.exp([-0.1, 0.1]).sum()
    np.testing.assert_allclose(weights, z / losses / (z / losses).sum(), rtol=1e-5)


def test_observing_keeps_the_shape_of_the_state_and_gives_no_gradient():
    method = FAMO()

    def second(losses):
        _, state = method.weigh_losses(losses, method.init(2), KEY)
        state = method.post_step(0.5 * losses**2, state)
        return method.weigh_losses(losses, state, KEY)[0] @ jnp.arange(2.0)

    losses = jnp.array([2.0, 4.0])
    np.testing.assert_array_equal(jax.jit(jax.grad(second))(losses), [0.0, 0.0])
    state = method.init(2)
    after = jax.eval_shape(method.post_step, losses, state)
    assert after == jax.eval_shape(lambda: state)


def test_decay_pulls_the_logits_back():
    method = FAMO(gamma=0.5)
    state = method.init(2)._replace(logits=jnp.array([1.0, -1.0]), losses=jnp.ones(2))
    after = method.post_step(jnp.ones(2), state).logits
    np.testing.assert_allclose(after, [1.0 - 0.025, -1.0 + 0.025], rtol=1e-5)  # by hand.


def test_a_task_at_its_bound_is_left_out():
    method = FAMO(gamma=0.0)
    losses = jnp.array([0.0, 1.0, 3.0])
    weights, state = method.weigh_losses(losses, method.init(3), KEY)
    np.testing.assert_allclose(weights, [0.0, 0.75, 0.25], rtol=1e-6)  # by hand.
    state = method.post_step(jnp.array([0.0, 0.5, 2.9]), state)
    assert state.logits[0] == 0.0 and state.logits[1] < 0.0 < state.logits[2]
    weights, _ = method.weigh_losses(jnp.zeros(3), state, KEY)
    np.testing.assert_array_equal(weights, [0.0] * 3)
    assert np.isnan(method.weigh_losses(jnp.array([np.nan, 1.0, 1.0]), state, KEY)[0]).all()


def test_an_epsilon_keeps_a_task_without_loss():
    method = FAMO(epsilon=0.5)
    weights, _ = method.weigh_losses(jnp.array([0.0, 1.0]), method.init(2), KEY)
    np.testing.assert_allclose(weights, [0.75, 0.25], rtol=1e-6)  # by hand: D = (0.5, 1.5).


def test_another_number_of_tasks_is_refused():
    with pytest.raises(BadInput, match=r"FAMO\.min_losses must have 3 entries, not"):
        FAMO(min_losses=(0.0,)).init(3)
    with pytest.raises(AssertionError):
        FAMO().post_step(jnp.ones(3), FAMO().init(2))
