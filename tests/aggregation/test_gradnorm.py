"""GradNorm: where the weights go, by lengths and by losses, and bad settings."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from mtl_jax.aggregation import GradNorm

KEY = jax.random.key(0)


@functools.cache
def compiled(method):
    def steps(gram, losses):
        def step(state, now):
            weights, state = method.weigh_gram(gram, method.pre_step(now, state), KEY)
            return state, weights

        return jax.lax.scan(step, method.init(len(gram)), losses)[1]

    return jax.jit(steps)


def run(method, gram, losses):
    return np.asarray(compiled(method)(jnp.array(gram), jnp.array(losses)))


def test_the_first_step_is_the_sum_and_the_second_moved_by_the_rate():
    found = run(GradNorm(learning_rate=0.1), [[4.0, 0.0], [0.0, 1.0]], [[1.0, 1.0]] * 2)
    np.testing.assert_allclose(found[0], [1.0, 1.0])
    np.testing.assert_allclose(found[1], [0.9, 1.1], rtol=1e-5)  # by hand: Adam's first step.


def test_lengths_become_alike():
    found = run(GradNorm(learning_rate=0.01), [[4.0, 0.0], [0.0, 1.0]], [[1.0, 1.0]] * 200)
    np.testing.assert_allclose(found[-1], [2 / 3, 4 / 3], atol=0.02)  # by hand: sum 2.


def test_a_slow_task_gets_a_longer_gradient():
    losses = [[1.0, 2.0]] + [[1.0, 1.0]] * 400  # The second halves its loss, the first does not.
    found = run(GradNorm(alpha=1.0, learning_rate=0.01), [[1.0, 0.0], [0.0, 1.0]], losses)
    # By hand: r = [4/3, 2/3].
    np.testing.assert_allclose(found[-1], [4 / 3, 2 / 3], atol=0.02)
    even = run(GradNorm(alpha=0.0, learning_rate=0.01), [[1.0, 0.0], [0.0, 1.0]], losses)
    np.testing.assert_allclose(even[-1], [1.0, 1.0], atol=0.02)


def test_weights_stay_at_zero_or_above_and_sum_to_k():
    found = run(GradNorm(learning_rate=0.5), np.diag([9.0, 1.0, 0.0]), [[1.0, 1.0, 0.0]] * 30)
    assert (found >= 0.0).all()
    np.testing.assert_allclose(found.sum(1), 3.0, rtol=1e-5)


def test_what_is_not_finite_leaves_the_state_alone():
    method = GradNorm()
    before = method.pre_step(jnp.array([1.0, 2.0]), method.init(2))
    assert jax.tree.all(
        jax.tree.map(jnp.array_equal, before, method.pre_step(jnp.array([1.0, jnp.inf]), before))
    )
    _, after = method.weigh_gram(jnp.array([[1.0, jnp.nan], [jnp.nan, 1.0]]), before, KEY)
    assert jax.tree.all(jax.tree.map(jnp.array_equal, before, after))
