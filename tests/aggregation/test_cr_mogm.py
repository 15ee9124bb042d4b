"""CR-MOGM: the average it takes, and that it stands in for its method in every joint."""

import copy
import dataclasses
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.aggregation import CRMOGM, MGDA, TrimmedMean
from mtl_jax.core.balancing import LossWeighting
from mtl_jax.core.validation import BadInput
from mtl_jax.weighting import Uncertainty

KEY = jax.random.key(0)


@dataclasses.dataclass(frozen=True)
class Told(LossWeighting):
    """Weighs by the losses it was told last."""

    def init(self, num_tasks):
        return jnp.ones(num_tasks)

    def weigh_losses(self, losses, state, key):
        return state * losses, state

    def post_step(self, losses, state):
        return losses


def test_gram_weights_are_averaged_from_the_first_on():
    method = CRMOGM(MGDA(), momentum=0.75)
    step, state = jax.jit(method.weigh_gram), method.init(2)
    found = []
    for gram in ([1.0, 1.0], [3.0, 1.0], [1.0, 4.0]):
        weights, state = step(jnp.diag(jnp.array(gram)), state, KEY)
        found.append(weights)
    second = 0.75 * 0.5 + 0.25 * 0.25  # by hand: MGDA gives 1/2, 1/4, 4/5 to the first task.
    expected = [0.5, second, 0.75 * second + 0.25 * 0.8]
    np.testing.assert_allclose(np.array(found)[:, 0], expected, rtol=1e-5)


def test_initial_weights():
    method = CRMOGM(MGDA(), 0.75, (0.9, 0.1))
    step, state = jax.jit(method.weigh_gram), method.init(2)
    expected = [  # torchjd 0.18.0, CRMOGMWeighting(MGDAWeighting(), 0.75, initial_weights).
        [0.8, 0.2],
        [0.66250, 0.33750],
        [0.696875, 0.303125],
    ]
    for gram, wanted in zip(([1.0, 1.0], [3.0, 1.0], [1.0, 4.0]), expected, strict=True):
        weights, state = step(jnp.diag(jnp.array(gram)), state, KEY)
        np.testing.assert_allclose(weights, wanted, rtol=1e-5)


@pytest.mark.parametrize("initial", [(np.nan, 1.0), ("a", "b")], ids=str)
def test_initial_weights_that_are_none_are_refused(initial):
    with pytest.raises(BadInput, match=r"CRMOGM.initial must be a tuple of finite numbers"):
        CRMOGM(initial=initial)


def test_initial_weights_of_another_number_of_tasks_are_refused():
    with pytest.raises(BadInput, match=r"CRMOGM.initial must have 3 numbers"):
        CRMOGM(initial=(0.5, 0.5)).init(3)


def test_it_offers_what_its_method_offers():
    for inner in (MGDA(), Uncertainty(), Told()):
        method = CRMOGM(inner)
        assert method.access == inner.access
        assert method.uses_post_step == inner.uses_post_step
        for again in (copy.deepcopy(method), pickle.loads(pickle.dumps(method))):
            assert again == method and (again.access == "gramian") == (inner == MGDA())
            assert again.uses_post_step == (inner == Told())


def test_losses_are_weighed_and_its_method_hears_of_them():
    method = CRMOGM(Told(), momentum=0.5)
    state = method.init(2)
    weights, state = jax.jit(method.weigh_losses)(jnp.array([2.0, 4.0]), state, KEY)
    np.testing.assert_array_equal(weights, [2.0, 4.0])
    state = jax.jit(method.post_step)(jnp.array([1.0, 10.0]), state)
    weights, _ = jax.jit(method.weigh_losses)(jnp.array([2.0, 4.0]), state, KEY)
    np.testing.assert_array_equal(weights, [2.0, 22.0])  # by hand: half of each.


def test_what_is_not_finite_leaves_the_average():
    method = CRMOGM(MGDA())
    step, state = jax.jit(method.weigh_gram), method.init(2)
    weights, state = step(jnp.full((2, 2), jnp.nan), state, KEY)
    assert np.isnan(weights).all() and not state.initialized
    _, state = step(jnp.diag(jnp.array([1.0, 3.0])), state, KEY)
    weights, after = step(jnp.full((2, 2), jnp.nan), state, KEY)
    assert np.isnan(weights).all()
    np.testing.assert_allclose(after.weights, [0.75, 0.25], rtol=1e-6)


@pytest.mark.parametrize(
    "method",
    [TrimmedMean()],
)
def test_methods_of_other_joints_are_refused(method):
    with pytest.raises(BadInput, match=r"CRMOGM.method must be a weighting of losses or of Gram"):
        CRMOGM(method)
