"""PIVRG: what scores do, where they come from, and bad settings."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.aggregation import PIVRG, FairGrad
from mtl_jax.core.validation import BadInput

KEY = jax.random.key(0)
GRAM = jnp.array([[18.0, -22.0], [-22.0, 38.0]])


def weigh(method, *losses, gram=GRAM):
    state = method.init(len(gram))
    for each in losses:
        state = method.pre_step(jnp.array(each), state)
    return np.asarray(jax.jit(method.weigh_gram)(gram, state, KEY)[0])


def test_without_scores_it_is_fairgrad():
    expected = FairGrad(2.0).weigh_gram(GRAM, (), KEY)[0]
    np.testing.assert_allclose(weigh(PIVRG()), expected, rtol=1e-6)
    np.testing.assert_allclose(weigh(PIVRG(), [3.0, 5.0]), expected, rtol=1e-6)
    np.testing.assert_allclose(weigh(PIVRG(), [3.0, 5.0], [0.6, 1.0]), expected, rtol=1e-5)


def test_the_task_behind_counts_more_but_no_more_than_the_bound():
    method = PIVRG(reference=(1.0, 2.0), bound=3.0, momentum=0.0)
    state = method.pre_step(jnp.array([1.0, 9.0]), method.init(2))
    # By hand: 0 and 350 per cent, so the spread decides: 1 to 3.
    np.testing.assert_allclose(method.importances(state), [0.5, 1.5], rtol=1e-6)
    weights = weigh(method, [1.0, 9.0], gram=jnp.eye(2))
    np.testing.assert_allclose(weights, np.array([0.5, 1.5]) ** (1 / 3), rtol=1e-5)  # by hand.


def test_small_differences_are_softened():
    method = PIVRG(reference=(1.0, 1.0), momentum=0.0)
    state = method.pre_step(jnp.array([1.0, 1.01]), method.init(2))
    ratio = np.exp(1 / 10)  # by hand: 1 per cent, over the least temperature.
    expected = 2 * np.array([1.0, ratio]) / (1 + ratio)
    np.testing.assert_allclose(method.importances(state), expected, rtol=1e-5)


def test_losses_are_averaged_and_compared_with_the_first():
    method = PIVRG(momentum=0.5)
    state = method.init(2)
    for losses in ([2.0, 4.0], [jnp.nan, 1.0], [1.0, 4.0]):
        state = method.pre_step(jnp.array(losses), state)
    np.testing.assert_allclose(state.reference, [2.0, 4.0])
    np.testing.assert_allclose(state.losses, [1.5, 4.0])  # by hand; what is no number is left out.


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"reference": (1.0, 0.0)}, "PIVRG.reference must be a tuple of positive"),
    ],
)
def test_bad_settings(settings, text):
    with pytest.raises(BadInput, match=text):
        PIVRG(**settings)


def test_a_reference_for_another_number_of_tasks_is_refused():
    with pytest.raises(BadInput, match="must have 3 numbers"):
        PIVRG(reference=(1.0, 2.0)).init(3)
