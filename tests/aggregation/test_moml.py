"""MOML: its first step, by which slopes that oppose each other cancel."""

import jax
import jax.numpy as jnp
import numpy as np

from mtl_jax.aggregation import MOML

KEY = jax.random.key(0)


def first(outer):
    method = MOML(learning_rate=0.1)
    return method.weigh_outer(outer, method.init(2), KEY)[0]


def test_tasks_that_agree_move_the_weights_by_adams_rate():
    # Both losses want the first weight up: z moves by +-0.1, w = softmax. by hand
    weights = first(lambda w: jnp.stack([-w[0], -3.0 * w[0]]))
    np.testing.assert_allclose(weights, jax.nn.softmax(jnp.array([0.1, -0.1])), rtol=1e-4)


def test_tasks_that_oppose_each_other_leave_them():
    # One slope is twice the other's opposite; brought to one length they cancel.
    weights = first(lambda w: jnp.stack([w[0], -w[0]]))
    np.testing.assert_array_equal(weights, [0.5, 0.5])
