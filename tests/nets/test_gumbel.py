"""Choices: how often they fall, which way gradients go, and the count of steps."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from mtl_jax.nets.multitask.gumbel import gumbel_sigmoid, gumbel_softmax, step_counter

LOGITS = jnp.log(jnp.array([0.6, 0.3, 0.1]))


class Draw(nn.Module):
    """Calls one of the functions."""

    def __call__(self, function, logits, temperature, train):
        return function(self, logits, temperature, train)


def drawn(function, logits, temperature=1.0, seed=None, train=True):
    rngs = {} if seed is None else {"draw": jax.random.key(seed)}
    return Draw().apply({}, function, logits, temperature, train, rngs=rngs)


def test_choices_fall_as_often_as_they_should():
    many = drawn(gumbel_softmax, jnp.tile(LOGITS, (4000, 1)), seed=0)
    np.testing.assert_allclose(np.sort(many, -1), np.tile([0.0, 0.0, 1.0], (4000, 1)), atol=1e-6)
    np.testing.assert_allclose(many.mean(0), [0.6, 0.3, 0.1], atol=0.03)


def test_the_gradient_is_that_of_the_softmax():
    weights = jnp.array([1.0, -2.0, 0.5])
    one = jax.grad(lambda logits: drawn(gumbel_softmax, logits, 2.0) @ weights)(LOGITS)
    soft = jax.grad(lambda logits: jax.nn.softmax(logits / 2.0) @ weights)(LOGITS)
    np.testing.assert_allclose(one, soft, rtol=1e-5)
    assert (one != 0).all()


def test_without_training_the_largest_wins_and_nothing_is_drawn():
    for seed in (None, 0, 1):
        np.testing.assert_array_equal(
            drawn(gumbel_softmax, -LOGITS, seed=seed, train=False), [0, 0, 1]
        )
        gates = drawn(gumbel_sigmoid, jnp.array([-0.1, 0.1]), seed=seed, train=False)
        np.testing.assert_array_equal(gates, [0.0, 1.0])


def test_gates_are_soft_and_open_as_often_as_they_should():
    logits = jnp.full((4000,), jnp.log(3.0))
    gates = drawn(gumbel_sigmoid, logits, 0.5, seed=0)
    assert (gates > 0).all() and (gates < 1).any()
    np.testing.assert_allclose((gates > 0.5).mean(), 0.75, atol=0.03)
    colder = drawn(gumbel_sigmoid, logits, 0.1, seed=0)
    np.testing.assert_array_equal(colder > 0.5, gates > 0.5)
    assert jnp.abs(colder - 0.5).mean() > jnp.abs(gates - 0.5).mean()
    np.testing.assert_allclose(
        drawn(gumbel_sigmoid, logits[:1], 2.0), jax.nn.sigmoid(logits[:1] / 2.0)
    )


class Count(nn.Module):
    """Counts its steps."""

    @nn.compact
    def __call__(self, train):
        return step_counter(self, train)


def test_steps_are_counted_in_training_only():
    stats, seen = Count().init(jax.random.key(0), train=False), []
    for train in (False, True, True, False, True):
        now, stats = Count().apply(stats, train=train, mutable=["batch_stats"])
        seen.append(float(now))
    assert seen == [0.0, 0.0, 1.0, 2.0, 2.0]
    assert stats["batch_stats"]["steps"] == 3
