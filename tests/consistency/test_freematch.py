"""FreeMatch: its running means, the sign of fairness, and where gradients stop."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.consistency import FreeMatch, Match, SelfAdaptiveFairness, SelfAdaptiveThreshold
from mtl_jax.consistency.prediction import Prediction
from mtl_jax.consistency.self_adaptive import FairnessState, SelfAdaptiveState, fairness
from mtl_jax.core.aux_inputs import DatasetSizes
from mtl_jax.core.validation import BadInput
from tests.consistency.seen import seen

# What the parts call some of the settings.
PARTS = {"fairness": "weight"}
WEAK = jnp.log(jnp.array([[0.8, 0.2], [0.6, 0.4], [0.3, 0.7]]))
STRONG = jnp.array([[1.0, 0.0], [0.5, 1.0], [0.0, 2.0]])
MASK = jnp.array([True, True, False])
SIZES = DatasetSizes(2, 3, 3)
START = FreeMatch().init(SIZES)
SHARES = SelfAdaptiveFairness().init(SIZES)

update = jax.jit(Match.update, static_argnums=0)
adapt = jax.jit(SelfAdaptiveThreshold.update, static_argnums=0)
fair = jax.jit(jax.value_and_grad(fairness))


def views(strong=STRONG, weak=WEAK):
    return seen(FreeMatch(), 0)._replace(logits={"weak": weak, "strong": strong})


def guess(weak=WEAK):
    return Prediction(weak, weak)


def test_running_means_after_one_batch():
    _, state, _ = adapt(
        SelfAdaptiveThreshold(0.9), guess(), views(), SelfAdaptiveThreshold().init(SIZES)
    )
    np.testing.assert_allclose(state.threshold, 0.9 / 2 + 0.1 * 0.7, rtol=1e-6)  # by hand.
    np.testing.assert_allclose(state.probabilities, [0.45 + 0.17 / 3, 0.45 + 0.13 / 3], rtol=1e-6)
    _, state = jax.jit(SelfAdaptiveFairness(momentum=0.9).update)(guess(), STRONG, MASK, SHARES)
    np.testing.assert_allclose(state.probabilities, [0.45 + 0.17 / 3, 0.45 + 0.13 / 3], rtol=1e-6)
    np.testing.assert_allclose(state.histogram, [0.45 + 0.2 / 3, 0.45 + 0.1 / 3], rtol=1e-6)


def test_a_rare_class_has_a_lower_threshold():
    state = SelfAdaptiveState(jnp.array(0.75), jnp.array([0.6, 0.4]))
    mask, *_ = adapt(SelfAdaptiveThreshold(momentum=1.0), guess(), views(), state)
    np.testing.assert_array_equal(mask, [True, False, True])  # .75 and .5.


def test_the_state_moves_before_the_mask_is_taken():
    """With momentum 0 the mean confidence is 0.7, class 1 reaches .7 * (1.3 / 1.7)."""
    method = FreeMatch(momentum=0.0, fairness=0.0)
    loss, state, metrics = update(method, views(), method.init(SIZES))
    np.testing.assert_allclose(state.mask.threshold, 0.7, rtol=1e-6)
    np.testing.assert_array_equal(loss > 0, [True, False, True])
    np.testing.assert_allclose(metrics["mask_rate"], 2 / 3, rtol=1e-6)


def test_fairness_is_minus_a_cross_entropy():
    state = FairnessState(jnp.array([0.6, 0.4]), jnp.array([0.8, 0.2]))
    target = np.array([0.75, 2.0]) / 2.75
    mean = np.asarray(jax.nn.softmax(STRONG[:2])).mean(0)  # one guess of each class.
    found, _ = fair(STRONG, MASK, state)
    np.testing.assert_allclose(found, (target * np.log(mean)).sum(), rtol=1e-6)
    assert found < 0


def test_a_class_that_nobody_guessed_counts_as_zero():
    value, grad = fair(jnp.array([[2.0, 0.0]] * 3), MASK, SHARES)
    np.testing.assert_allclose(value, 0.5 * np.log(1e-12), rtol=1e-6)  # by hand.
    assert jnp.isfinite(grad).all()


def test_an_empty_mask_has_no_fairness_and_no_gradient():
    value, grad = fair(STRONG, jnp.zeros(3, bool), SHARES)
    assert value == 0.0
    np.testing.assert_array_equal(grad, jnp.zeros_like(STRONG))


def test_the_mean_has_fairness_once():
    bare = FreeMatch(fairness=0.0)
    plain, _, _ = update(bare, views(), bare.init(SIZES))
    loss, state, metrics = update(FreeMatch(fairness=0.5), views(), START)
    np.testing.assert_allclose(loss.mean(), plain.mean() + 0.5 * metrics["fairness"], rtol=1e-6)
    mask, *_ = adapt(SelfAdaptiveThreshold(), guess(), views(), START.mask)
    np.testing.assert_allclose(
        metrics["fairness"], fair(STRONG, mask, state.terms[0])[0], rtol=1e-6
    )


def test_gradients_flow_into_the_strong_view_only():
    method = FreeMatch(fairness=0.5)

    def total(strong, weak, state):
        return update(method, views(strong, weak), state)[0].sum()

    grads = jax.jit(jax.grad(total, (0, 1, 2)))(STRONG, WEAK, START)
    assert jnp.abs(grads[0]).sum() > 0
    assert all((leaf == 0).all() for leaf in jax.tree.leaves(grads[1:]))


def test_nothing_flows_through_the_running_means():
    """The next state is data: a loss on it has no gradient."""
    method = FreeMatch()

    def total(weak):
        moved = method.update(views(weak=weak), START)[1]
        return sum(leaf.sum() for leaf in jax.tree.leaves(moved))

    np.testing.assert_array_equal(jax.jit(jax.grad(total))(WEAK), jnp.zeros_like(WEAK))


def test_clip_holds_the_threshold():
    method = FreeMatch(clip=(0.9, 0.95))
    _, state, metrics = update(method, views(), START)
    np.testing.assert_allclose([state.mask.threshold, metrics["threshold"]], 0.9, rtol=1e-6)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"logits .* and targets"):
        update(FreeMatch(), views(STRONG[:2]), START)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("clip", (0.9, 0.5)),
        ("clip", (0.9, 1.5)),
    ],
)
def test_settings_are_checked(field, value):
    with pytest.raises(BadInput, match=rf"\.{PARTS.get(field, field)} must"):
        FreeMatch(**{field: value})
