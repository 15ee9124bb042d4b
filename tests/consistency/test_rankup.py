"""RankUp: targets of pairs, which pairs count, and where its gradients go."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.consistency import (
    RDA,
    FixMatch,
    MatchRegression,
    MixMatchRegression,
    RankUp,
    RankUpRDA,
)
from mtl_jax.core.aux_inputs import DatasetSizes
from mtl_jax.core.head_specs import AuxHead
from mtl_jax.core.validation import BadInput
from mtl_jax.losses import squared_error
from tests.consistency.seen import seen

METHOD = RankUp(arc_weight=0.5)
LABELS = np.array([1.0, 3.0, 1.0], np.float32)
OWN = np.array([[0.0], [1.0], [1.0]], np.float32)  # errors 1, 4, 0.
RANKS = np.array([[0.0, 1.0], [2.0, 0.0], [1.0, 1.0]], np.float32)  # differences -1, 2, 0.
WEAK = np.array([[0.0, 0.0], [4.0, 0.0]], np.float32)  # sigmoid(4) is .982.
STRONG = np.array([[0.0, 0.0], [0.0, 1.0]], np.float32)
supervised = jax.jit(METHOD.labelled_loss, static_argnums=1)


def sight(method=METHOD, **changes):
    changes = {"labels": LABELS, "mask": np.ones(3, bool), **changes}
    logits = {"labelled": OWN, "weak": np.zeros((2, 1)), "strong": np.zeros((2, 1))}
    heads = {"rank": {"labelled": RANKS, "weak": WEAK, "strong": STRONG}}
    return seen(method, 0)._replace(logits=logits, heads=heads, **changes)


def entropy(difference, target):
    """Cross-entropy of a pair whose logits differ by so much."""
    return np.log1p(np.exp(-difference)) * target + np.log1p(np.exp(difference)) * (1 - target)


def test_labelled_pairs():
    """Pairs (0, 1), (0, 2), (1, 2), each in both orders, and three with themselves."""
    each = [entropy(-3.0, 0.0), entropy(-1.0, 0.5), entropy(2.0, 1.0)]  # by hand.
    wanted = 5 / 3 + 0.5 * (2 * sum(each) + 3 * np.log(2.0)) / 9
    np.testing.assert_allclose(supervised(sight(), squared_error, ()), wanted, rtol=1e-6)


def test_pairs_with_a_missing_label_do_not_count():
    labels = np.array([1.0, np.nan, 1.0], np.float32)
    now = sight(labels=labels, mask=np.array([True, False, True]))
    wanted = 1 / 2 + 0.5 * (2 * entropy(-1.0, 0.5) + 2 * np.log(2.0)) / 4  # by hand.
    np.testing.assert_allclose(supervised(now, squared_error, ()), wanted, rtol=1e-6)


def test_sure_orders_are_followed():
    """Of four pairs the two of different examples are sure: the strong view has them wrong."""
    loss, _, metrics = jax.jit(METHOD.update)(sight(), ())
    np.testing.assert_allclose(loss, [0.5 * np.log1p(np.exp(1.0)) / 2] * 2, rtol=1e-6)  # by hand.
    assert metrics["mask_rate"] == 0.5
    loss, _, metrics = jax.jit(RankUp(threshold=0.99).update)(sight(), ())
    assert metrics["mask_rate"] == 0.0 and not loss.any()


def test_several_numbers_have_rankings_of_their_own():
    assert METHOD.aux_heads(3) == {"rank": AuxHead(6)}
    one = jax.jit(METHOD.update)(sight(), ())[0]
    twice = {name: np.concatenate([z, z], 1) for name, z in sight().heads["rank"].items()}
    both = sight()._replace(heads={"rank": twice})
    np.testing.assert_allclose(jax.jit(METHOD.update)(both, ())[0], one, rtol=1e-6)


def test_gradients_flow_into_the_strong_ranking_only():
    def total(logits, heads):
        return METHOD.update(sight()._replace(logits=logits, heads=heads), ())[0].sum()

    logits, heads = sight().logits, sight().heads
    own = {name: jnp.asarray(z, jnp.float32) for name, z in logits.items()}
    grads, ranks = jax.jit(jax.grad(total, (0, 1)))(own, heads)
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(grads))
    assert {name for name, grad in ranks["rank"].items() if np.any(grad)} == {"strong"}


def test_another_method_is_added_with_its_own_weight():
    also = MatchRegression("weak", "strong", weight=3.0, ramp=0.0)
    method = RankUp(arc_weight=0.5, regression_method=also)
    assert method.views == ("labelled", "weak", "strong")
    strong = {**sight().logits, "strong": np.ones((2, 1), np.float32)}
    plain = jax.jit(METHOD.update)(sight(), ())[0]
    loss = jax.jit(method.update)(sight()._replace(logits=strong), ())[0]
    np.testing.assert_allclose(loss, plain + 3.0, rtol=1e-6)  # by hand: the error is 1.


def test_with_alignment_it_keeps_the_state_of_that():
    state = RankUpRDA().init(DatasetSizes(1, 20, 20))
    assert jax.tree.structure(state) == jax.tree.structure(RDA().init(DatasetSizes(1, 20, 20)))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("regression_method", FixMatch()),
        ("regression_method", MixMatchRegression()),
        ("regression_method", RankUp()),
    ],
)
def test_settings_are_checked(field, value):
    with pytest.raises(BadInput, match=rf"RankUp\.{field} must"):
        RankUp(**{field: value})
