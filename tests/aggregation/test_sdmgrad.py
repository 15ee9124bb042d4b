"""SDMGrad: one step by hand, its preference, its scale, and its bad settings."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.aggregation import SDMGrad
from mtl_jax.core.validation import BadInput

KEY = jax.random.key(0)
CROSS = jnp.array([[4.0, -1.0], [2.0, 1.0]])


def weigh(method, cross):
    return jax.jit(method.weigh_cross)(cross, method.init(len(cross)), KEY)


def test_one_step():
    _, state = weigh(SDMGrad(strength=1.0, learning_rate=0.1, steps=1), CROSS)
    # By hand: A / 1.5^2 (w + p) = [4/3, 4/3], which the projection takes back.
    np.testing.assert_allclose(state, [0.5, 0.5], rtol=1e-6)
    weights, state = weigh(
        SDMGrad(strength=1.0, learning_rate=0.1, steps=1, preference=(1.0, 0.0)), CROSS
    )
    # By hand: A / 2.25 [1.5, 0.5] = [5.5, 3.5] / 2.25; half the difference goes either way.
    np.testing.assert_allclose(state, [0.5 - 0.1 / 2.25, 0.5 + 0.1 / 2.25], rtol=1e-6)
    np.testing.assert_allclose(weights, (np.asarray(state) + np.array([1.0, 0.0])) / 2.0, rtol=1e-6)


def test_momentum_adds_the_steps_up():
    settings = {"strength": 0.0, "learning_rate": 0.01, "steps": 2}
    cross = jnp.array([[4.0, 0.0], [0.0, 1.0]])
    slow, fast = (weigh(SDMGrad(momentum=m, **settings), cross)[1] for m in (0.0, 0.9))
    assert fast[0] < slow[0] < 0.5


def test_a_large_strength_is_the_preference():
    weights, _ = weigh(SDMGrad(strength=1e6, preference=(0.2, 0.8)), CROSS)
    np.testing.assert_allclose(weights, [0.2, 0.8], rtol=1e-4)


def test_without_a_positive_diagonal_it_is_scaled_by_the_largest():
    found = [
        weigh(SDMGrad(steps=1), scale * jnp.array([[-1.0, 2.0], [0.5, 0.0]]))
        for scale in (1.0, 1e20)
    ]
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-5)


@pytest.mark.parametrize(
    ("settings", "text"),
    [({"preference": (1.0, -1.0)}, "SDMGrad.preference must be a tuple")],
)
def test_bad_settings(settings, text):
    with pytest.raises(BadInput, match=text):
        SDMGrad(**settings)


def test_a_preference_for_another_number_of_tasks_is_refused():
    with pytest.raises(BadInput, match="must have 3 numbers"):
        SDMGrad(preference=(0.5, 0.5)).init(3)
