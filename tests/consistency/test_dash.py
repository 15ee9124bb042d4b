"""Dash: what the warm-up measures, how the threshold falls, and from when labels are hard."""

import jax
import jax.numpy as jnp
import numpy as np

from mtl_jax.consistency import Dash
from mtl_jax.consistency.dash import DashState
from mtl_jax.core.aux_inputs import DatasetSizes
from tests.consistency.seen import C, seen
from tests.consistency.warm import warm

SIZES = DatasetSizes(C, 20, 20)
SHORT = Dash(warm_up=3, window=2, every=2)
update = jax.jit(Dash.update, static_argnums=0)


def after(steps, method=SHORT, start=0):
    """Metrics and losses of some steps, and the state after them."""
    state, found = method.init(SIZES), []
    for seed in range(start, start + steps):
        loss, state, metrics = update(method, seen(method, seed), state)
        found.append((loss, metrics))
    return found, state


def own_losses(seed):
    """Cross-entropy of a step's labelled examples, in numpy."""
    sight = seen(SHORT, seed)
    logits = np.asarray(sight.logits["labelled"], np.float64)
    log = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    return -log[np.arange(len(log)), sight.labels]


def test_the_last_steps_of_the_warm_up_are_measured():
    found, state = after(4)
    wanted = np.concatenate([own_losses(1), own_losses(2)])  # steps 1 and 2 of 0 to 2.
    np.testing.assert_allclose(state.total, wanted.sum(), rtol=1e-5)
    assert (state.count, state.step) == (wanted.size, 4)
    np.testing.assert_allclose(found[3][1]["threshold"], 1.0001 * wanted.mean(), rtol=1e-5)


def test_nothing_unlabelled_counts_in_the_warm_up():
    found, _ = after(4)
    assert all((loss == 0).all() and metrics["mask_rate"] == 0 for loss, metrics in found[:3])
    assert found[3][0].sum() > 0


def test_the_threshold_falls_every_so_many_steps_down_to_the_least():
    method = Dash(warm_up=1, initial_loss=2.0, factor=1.5, gamma=2.0, every=2, min_threshold=0.4)
    found, state = after(8, method)
    rho = [float(metrics["threshold"]) for _, metrics in found]
    np.testing.assert_allclose(rho, [3.0, 3.0, 3.0, 1.5, 1.5, 0.75, 0.75, 0.4])  # by hand.
    assert state.count == 0


def test_soft_targets_above_the_least_threshold_and_hard_ones_at_it():
    weak = jnp.log(jnp.array([[0.8, 0.2], [0.5, 0.5]]))
    method = Dash(min_threshold=0.3)
    _, soft = method.select(weak, jnp.array(0.5))
    np.testing.assert_allclose(soft, [[16 / 17, 1 / 17], [0.5, 0.5]], rtol=1e-5)  # by hand.
    mask, hard = method.select(weak, jnp.array(0.3))
    np.testing.assert_array_equal(hard, [[1.0, 0.0], [1.0, 0.0]])
    np.testing.assert_array_equal(mask, [True, False])  # by hand: -log .8 = .22, log 2 = .69.


def test_the_selection_is_by_the_loss_of_the_sharpened_guess():
    weak = jnp.log(jnp.array([[0.8, 0.2]]))
    own = -(16 * np.log(0.8) + np.log(0.2)) / 17  # by hand.
    masks = [Dash().select(weak, jnp.array(rho))[0][0] for rho in (own - 1e-3, own + 1e-3)]
    assert masks == [False, True]


def test_missing_labels_are_not_measured():
    state = SHORT.init(SIZES)._replace(step=jnp.array(2, jnp.int32))
    sight = seen(SHORT, 1)
    mask = np.array([True, False, True, False])
    labels = np.where(mask, sight.labels, -1)
    _, state, _ = update(SHORT, sight._replace(labels=labels, mask=mask), state)
    np.testing.assert_allclose(state.total, own_losses(1)[mask].sum(), rtol=1e-5)
    assert state.count == 2


def test_a_warm_up_without_labels_stands_for_a_model_that_knows_nothing():
    state = DashState(jnp.array(3, jnp.int32), jnp.zeros(()), jnp.zeros(()))
    _, _, metrics = update(SHORT, seen(SHORT, 0), state)
    np.testing.assert_allclose(metrics["threshold"], 1.0001 * np.log(C), rtol=1e-6)  # by hand.


def test_gradients_flow_into_the_strong_view_only():
    def total(logits):
        state = warm(SHORT, SHORT.init(SIZES))
        loss, state, metrics = update(SHORT, seen(SHORT, 0)._replace(logits=logits), state)
        return loss.sum() + state.total + metrics["threshold"]

    grads = jax.jit(jax.grad(total))(seen(SHORT, 0).logits)
    assert np.abs(grads["strong"]).sum() > 0
    assert not grads["weak"].any() and not grads["labelled"].any()
