"""Temporal ensembling: targets over epochs, times counted for each example, examples met twice."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.consistency import TemporalEnsembling
from mtl_jax.core.aux_inputs import DatasetSizes
from tests.consistency.seen import seen
from tests.consistency.warm import warm

METHOD = TemporalEnsembling(ramp=0.0)
SIZES = DatasetSizes(2, 4, 0)
SIGHT = seen(METHOD, 0)

update = jax.jit(TemporalEnsembling.update, static_argnums=0)


def step(state, index, first, method=METHOD, progress=0.5):
    """A step on examples whose probability of the first of two classes is given."""
    said = np.array([first, 1.0 - np.array(first)], np.float32).T
    views = SIGHT._replace(
        logits={"weak": np.log(said)},
        unlabelled_index=np.array(index, np.int32),
        progress=np.float32(progress),
    )
    return update(method, views, state)


def test_two_epochs_by_hand():
    loss, state, metrics = step(METHOD.init(SIZES), [2, 0], [0.8, 0.1])
    np.testing.assert_array_equal(loss, [0.0, 0.0])
    assert metrics["mask_rate"] == 0.0
    np.testing.assert_allclose(state.total[2], 0.4 * np.array([0.8, 0.2]), rtol=1e-6)  # by hand
    loss, state, metrics = step(state, [0, 2], [0.5, 0.5])
    # By hand: after one time the corrected mean is what was said then.
    np.testing.assert_allclose(loss, [0.4**2, 0.3**2], rtol=1e-5)
    assert metrics["mask_rate"] == 1.0
    loss, _, _ = step(state, [2], [0.0 + 1e-9])
    mean = (0.4 * 0.5 + 0.6 * 0.4 * 0.8) / (1 - 0.36)  # by hand
    np.testing.assert_allclose(loss, [mean**2], rtol=1e-5)


def test_the_correction_is_exact_for_each_example():
    """What always says the same has that as its target, however often it was seen."""
    state = METHOD.init(SIZES)
    for index in ([0, 1], [0, 2], [0, 1], [0, 3]):
        _, state, _ = step(state, index, [0.7, 0.7])
    np.testing.assert_array_equal(state.count, [4, 2, 1, 1])
    loss, _, metrics = step(state, [0, 1, 2, 3], [0.7] * 4)
    np.testing.assert_allclose(loss, np.zeros(4), atol=1e-10)
    assert metrics["mask_rate"] == 1.0


def test_an_example_that_comes_twice_counts_by_its_later_place():
    _, state, _ = step(METHOD.init(SIZES), [1, 3, 1], [0.9, 0.5, 0.2])
    np.testing.assert_array_equal(state.count, [0, 1, 0, 1])
    np.testing.assert_allclose(state.total[1], 0.4 * np.array([0.2, 0.8]), rtol=1e-6)


def test_gradients_reach_the_view_and_not_the_table():
    def total(logits, table):
        state = warm(METHOD, METHOD.init(SIZES))._replace(total=table)
        views = SIGHT._replace(logits={"weak": logits}, unlabelled_index=np.array([0, 1], np.int32))
        loss, after, _ = update(METHOD, views, state)
        return loss.sum(), after.total.sum()

    table = warm(METHOD, METHOD.init(SIZES)).total
    logits = jnp.array([[1.0, 0.0], [0.0, 2.0]])
    loss, after = jax.jacrev(total, (0, 1))(logits, table)
    assert (np.abs(loss[0]).sum(1) > 0).all()
    for grad in (loss[1], *after):
        np.testing.assert_array_equal(grad, np.zeros_like(grad))


def test_a_warm_state_knows_nothing_of_any_class():
    loss, _, _ = step(warm(METHOD, METHOD.init(SIZES)), [3], [0.9])
    np.testing.assert_allclose(loss, [0.16], rtol=1e-5)  # by hand: (.9 - .5)^2


@pytest.mark.parametrize(("progress", "share"), [(0.0, np.exp(-5.0)), (0.2, np.exp(-1.25)),
                                                 (0.4, 1.0), (0.9, 1.0)])  # fmt: skip
def test_the_weight_grows_along_a_gaussian(progress, share):
    slow = TemporalEnsembling(ramp=0.4)
    loss, _, _ = step(warm(METHOD, METHOD.init(SIZES)), [0], [0.9], slow, progress)
    np.testing.assert_allclose(loss, [0.16 * share], rtol=1e-5)
