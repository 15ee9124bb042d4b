"""MoDo: one step by hand, where it tends to, and its bad settings."""

import jax
import jax.numpy as jnp
import numpy as np

from mtl_jax.aggregation import MGDA, MoDo

KEY = jax.random.key(0)


def test_one_step():
    method = MoDo(learning_rate=0.1, decay=0.1)
    cross = jnp.array([[2.0, -1.0], [3.0, 1.0]])
    weights, state = jax.jit(method.weigh_cross)(cross, method.init(2), KEY)
    # By hand: A w + 0.1 w = [0.55, 2.05], so [0.445, 0.295], and 0.13 more each.
    np.testing.assert_allclose(weights, [0.575, 0.425], rtol=1e-6)
    np.testing.assert_array_equal(state, weights)


def test_on_one_batch_it_tends_to_the_shortest_combination():
    gram = jnp.array([[18.0, -22.0], [-22.0, 38.0]])
    method = MoDo(learning_rate=0.02, decay=0.0)

    def step(state, _):
        return method.weigh_cross(gram, state, KEY)[1], None

    last = jax.jit(lambda state: jax.lax.scan(step, state, length=200)[0])(method.init(2))
    np.testing.assert_allclose(last, MGDA().weigh_gram(gram, (), KEY)[0], rtol=1e-4)
