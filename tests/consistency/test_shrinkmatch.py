"""ShrinkMatch: the classes that are kept, its loss class by class, and where gradients flow."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.consistency import NoAlignment, ShrinkMatch
from mtl_jax.consistency.shrinkmatch import shrink_classes
from mtl_jax.core.aux_inputs import DatasetSizes
from tests.consistency.seen import C, N, U, seen

METHOD = ShrinkMatch(threshold=0.8, momentum=0.6, shrunk_weight=0.5, align=NoAlignment())
SIZES = DatasetSizes(C, N, N)

update = jax.jit(ShrinkMatch.update, static_argnums=0)
space = jax.jit(shrink_classes, static_argnums=1)


def softmax(logits):
    e = np.exp(logits - logits.max())
    return e / e.sum()


def one_loss(weak, strong, own, rate, threshold):
    """By hand, class by class as the paper has it."""
    q = softmax(weak)
    if q.max() >= threshold:
        return -(q * np.log(softmax(strong))).sum()
    order = np.argsort(-q)
    for removed in range(1, len(q) - 1):
        kept = [order[0], *order[1 + removed :]]
        if q[order[0]] / q[kept].sum() >= threshold:
            return 0.5 * rate * q.max() * -np.log(softmax(own[kept])[0])
    return 0.0


@pytest.mark.parametrize("threshold", [0.5, 0.8, 0.99])
def test_three_steps_by_hand(threshold):
    method = dataclasses.replace(METHOD, threshold=threshold)
    state, rate, kinds = method.init(SIZES), None, set()
    for seed in range(3):
        views = seen(method, seed)
        loss, state, metrics = update(method, views, state)
        sure = np.mean([softmax(row).max() >= threshold for row in views.logits["weak"]])
        rate = sure if rate is None else 0.6 * rate + 0.4 * sure
        rows = zip(views.logits["weak"], views.logits["strong"], views.heads["shrunk"]["strong"],
                   strict=True)  # fmt: skip
        wanted = [one_loss(*row, rate, threshold) for row in rows]
        np.testing.assert_allclose(loss, wanted, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(metrics["mask_rate"], sure, rtol=1e-6)
        np.testing.assert_allclose(state.confident_rate, rate, rtol=1e-6)
        kinds.add(float(metrics["shrunk_rate"]))
    assert max(kinds) > 0


def test_the_kept_classes():
    guess = jnp.array([[0.1, 0.5, 0.35, 0.05], [0.3, 0.25, 0.25, 0.2], [0.0, 0.0, 1.0, 0.0]])
    kept, enough = space(guess, 0.75)  # .5 / .65 = .77; .3 / .5 = .6; a sure one.
    wanted = [[True, True, False, True], [True, False, False, True], [False, True, True, True]]
    np.testing.assert_array_equal(kept[:2], wanted[:2])  # by hand
    assert kept[2].sum() == 3
    np.testing.assert_array_equal(enough, [True, False, True])


def test_as_few_classes_as_possible_are_left_out():
    guess = jnp.array([[0.4, 0.3, 0.2, 0.06, 0.04]])
    for threshold, left in ((0.5, 4), (0.6, 3), (0.81, 2), (0.95, 2)):
        kept, enough = space(guess, threshold)
        assert kept.sum() == left and enough[0] == (threshold < 0.95)


def test_two_classes_leave_nothing_to_shrink():
    _, enough = space(jnp.array([[0.6, 0.4]]), 0.5)
    assert not enough.any()
    views = seen(METHOD, 0)
    pair = views._replace(
        logits={name: v[:, :2] for name, v in views.logits.items()},
        heads={"shrunk": {name: v[:, :2] for name, v in views.heads["shrunk"].items()}},
    )
    loss, _, _ = update(METHOD, pair, METHOD.init(DatasetSizes(2, N, N)))
    sure = np.array([softmax(row).max() >= 0.8 for row in pair.logits["weak"]])
    np.testing.assert_array_equal(loss > 0, sure)


def test_each_head_learns_from_its_own_examples():
    views = seen(METHOD, 3)

    def total(logits, heads):
        now = views._replace(logits=logits, heads=heads)
        return METHOD.update(now, METHOD.init(SIZES))[0].sum()

    logits, heads = jax.jit(jax.grad(total, (0, 1)))(views.logits, views.heads)
    sure = np.array([softmax(row).max() >= 0.8 for row in views.logits["weak"]])
    assert 0 < sure.sum() < U
    np.testing.assert_array_equal(np.abs(logits["strong"]).sum(1) > 0, sure)
    own = np.abs(heads["shrunk"]["strong"]).sum(1)
    assert own.sum() > 0 and not own[sure].any()
    np.testing.assert_array_equal(logits["weak"], np.zeros_like(logits["weak"]))
    np.testing.assert_array_equal(heads["shrunk"]["weak"], np.zeros((U, C)))


def test_a_class_that_is_left_out_has_no_gradient():
    views = seen(METHOD, 0)
    weak = np.log(np.tile(np.array([0.6, 0.3, 0.06, 0.04], np.float32), (U, 1)))
    weak[0] = [9.0, 0.0, 0.0, 0.0]  # One that is sure, or the weight of the others is 0.
    views = views._replace(logits={**views.logits, "weak": weak})

    def total(own):
        heads = {"shrunk": {"strong": own, "weak": own}}
        return METHOD.update(views._replace(heads=heads), METHOD.init(SIZES))[0].sum()

    grad = jax.jit(jax.grad(total))(views.heads["shrunk"]["strong"])[1]
    np.testing.assert_array_equal(grad != 0, [True, False, True, True])
