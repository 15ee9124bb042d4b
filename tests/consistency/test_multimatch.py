"""MultiMatch: ten steps from the formula, margins and cut-offs by hand, who learns from whom."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from mtl_jax.consistency import ConfidenceThreshold, MultiMatch, SelfAdaptiveThreshold
from mtl_jax.consistency.multimatch import HEADS, OTHERS, head_logits, pseudo_label_for_head
from mtl_jax.consistency.pseudo_margin import (
    Margins,
    init_margins,
    margin_quantiles,
    margins,
    update_margins,
)
from mtl_jax.core.aux_inputs import DatasetSizes
from mtl_jax.losses import cross_entropy
from tests.consistency.seen import C, N, U, seen

METHOD = MultiMatch(
    hard=5.0, quantile=0.3, min_cutoff=None, smoothness=0.8, epochs=4, mask=ConfidenceThreshold(0.6)
)  # fmt: skip
SIZES = DatasetSizes(C, N, N)

update = jax.jit(MultiMatch.update, static_argnums=0)


def softmax(logits):
    e = np.exp(logits - logits.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def at(method, seed, progress):
    return seen(method, seed)._replace(progress=np.float32(progress))


class ByHand:
    """One example, head and class at a time, as the paper and the authors' code have it."""

    def __init__(self):
        self.mean, self.label = np.zeros((3, N, C)), np.full((3, N), -1)
        self.cutoff, self.epoch = np.zeros((3, C)), 0

    def calibrate(self):
        for head, (one, other) in enumerate(OTHERS):
            for c in range(C):
                agreed = (self.label[one] == c) & (self.label[other] == c)
                values = np.concatenate([self.mean[one, agreed, c], self.mean[other, agreed, c]])
                self.cutoff[head, c] = np.quantile(values, 0.3) if len(values) else 0.0

    def step(self, views, progress):
        epoch = int(progress * 4)
        if epoch > self.epoch:
            self.calibrate()
        self.epoch, rate = epoch, 0.8 / (1 + epoch)
        weak, strong = (np.stack(head_logits(views, view)) for view in ("weak", "strong"))
        for head in range(3):
            for z, place in zip(weak[head], views.unlabelled_index, strict=True):
                best = z.argmax()
                margin = z - z[best]
                margin[best] = z[best] - np.delete(z, best).max()
                self.mean[head, place] = rate * margin + (1 - rate) * self.mean[head, place]
                self.label[head, place] = best
        loss, kinds = np.zeros(U), []
        for head, (one, other) in enumerate(OTHERS):
            for u, place in enumerate(views.unlabelled_index):
                label, weight = self.told(head, (one, other), place, weak[:, u])
                weight *= epoch > 0
                loss[u] -= weight * np.log(softmax(strong[head, u])[label]) / 3
                kinds.append(weight)
        return loss, kinds

    def told(self, head, others, place, z):
        labels = [z[other].argmax() for other in others]
        passed = [
            self.mean[other, place, c] >= self.cutoff[head, c]
            for other, c in zip(others, labels, strict=True)
        ]
        if max(softmax(z[other]).max() for other in others) < 0.6:
            return 0, 0.0
        if passed == [True, True]:
            return labels[0], float(labels[0] == labels[1])
        return labels[passed.index(True)] if any(passed) else 0, 5.0 * any(passed)


def test_ten_steps_by_hand():
    hand, state, seen_kinds = ByHand(), METHOD.init(SIZES), []
    for seed in range(10):
        views = at(METHOD, seed, seed / 10)
        loss, state, metrics = update(METHOD, views, state)
        wanted, kinds = hand.step(views, seed / 10)
        np.testing.assert_allclose(loss, wanted, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(metrics["mask_rate"], np.mean(np.array(kinds) > 0), rtol=1e-5)
        np.testing.assert_allclose(metrics["hard_rate"], np.mean(np.array(kinds) == 5), rtol=1e-5)
        seen_kinds += kinds
        assert (seed < 3) == (not any(seen_kinds))  # Nothing before the first cut-offs.
    assert set(seen_kinds) == {0.0, 1.0, 5.0}
    np.testing.assert_allclose(state.margins.mean, hand.mean, atol=1e-5)
    np.testing.assert_allclose(state.cutoff, hand.cutoff, atol=1e-5)
    np.testing.assert_array_equal(state.margins.label, hand.label)


def test_margins_by_hand():
    found = jax.jit(margins)(jnp.array([[3.0, 1.0, 2.5], [1.0, 1.0, 0.0]]))
    np.testing.assert_allclose(found, [[0.5, -2.0, -0.5], [0.0, 0.0, -1.0]])  # by hand


def test_of_an_example_twice_in_a_batch_the_later_counts():
    logits = jnp.array([[[2.0, 0.0], [0.0, 4.0], [8.0, 0.0]]])
    state = jax.jit(update_margins)(init_margins(1, 4, 2), logits, jnp.array([1, 3, 1]), 0.5)
    wanted = [[0.0, 0.0], [4.0, -4.0], [0.0, 0.0], [-2.0, 2.0]]
    np.testing.assert_allclose(state.mean[0], wanted)  # by hand
    np.testing.assert_array_equal(state.label[0], [-1, 0, -1, 1])


def test_percentiles_are_of_the_agreed_examples_alone():
    state = Margins(
        jnp.array([[[1.0, 9.0], [3.0, 9.0], [50.0, 9.0], [7.0, 9.0]],
                   [[2.0, 9.0], [4.0, 9.0], [60.0, 9.0], [8.0, 9.0]]]),
        jnp.array([[0, 0, 0, -1], [0, 0, 1, -1]]),
    )  # fmt: skip
    found = jax.jit(margin_quantiles, static_argnums=(1, 2, 3))(state, 0, 1, 0.5)
    np.testing.assert_allclose(found, [2.5, 0.0])  # by hand: of 1, 2, 3, 4; and of nothing.


def test_what_two_heads_tell_the_third():
    labels = jnp.array([[9] * 6, [0, 0, 0, 1, 1, 0], [0, 0, 1, 0, 0, 0]])
    own = jnp.array([[9.0] * 6, [1.0, 1.0, 1.0, 0.0, 1.0, 0.0], [1.0, 0.0, 0.0, 1.0, 1.0, 0.0]])
    masked = jnp.ones((3, 6), bool)
    label, easy, hard = pseudo_label_for_head(labels, own, masked, jnp.full((3, 2), 0.5), 0)
    np.testing.assert_array_equal(easy, [1, 0, 0, 0, 0, 0])  # by hand
    np.testing.assert_array_equal(hard, [0, 1, 1, 1, 0, 0])
    np.testing.assert_array_equal(label[:4], [0, 0, 0, 0])
    masked = masked.at[1:, 0].set(False).at[1, 1].set(False)
    _, easy, hard = pseudo_label_for_head(labels, own, masked, jnp.full((3, 2), 0.5), 0)
    assert not easy[0] and hard[1]  # One head that is in its mask is enough.


def test_cut_offs_have_a_least_value():
    state = MultiMatch().init(SIZES)
    below = state.margins._replace(
        mean=state.margins.mean - 3.0, label=jnp.zeros_like(state.margins.label)
    )
    for least, wanted in ((None, -3.0), (0.0, 0.0), (-1.0, -1.0)):
        found = MultiMatch(min_cutoff=least).cutoffs(below)
        np.testing.assert_allclose(found[:, 0], wanted)


def test_a_head_is_not_told_by_itself():
    """Its own weak guess changes nothing of its loss."""
    method = dataclasses.replace(METHOD, mask=SelfAdaptiveThreshold())
    views, state = at(method, 3, 0.9), method.init(SIZES)

    def of_strong(views):
        def total(strong):
            heads = {**views.heads, "third": {**views.heads["third"], "strong": strong}}
            return method.update(views._replace(heads=heads), state)[0].sum()

        return jax.jit(jax.grad(total))(views.heads["third"]["strong"])

    other = {
        **views.heads,
        "third": {**views.heads["third"], "weak": -views.heads["third"]["weak"]},
    }
    grad = of_strong(views)
    assert np.abs(grad).sum() > 0
    np.testing.assert_array_equal(grad, of_strong(views._replace(heads=other)))


def test_gradients_flow_into_the_strong_views_and_the_labelled_ones():
    views, state = at(METHOD, 3, 0.9), METHOD.init(SIZES)

    def total(logits, heads):
        now = views._replace(logits=logits, heads=heads)
        return METHOD.update(now, state)[0].sum(), METHOD.labelled_loss(now, cross_entropy, state)

    for place, name in enumerate(("strong", "labelled")):
        grads = jax.jit(jax.grad(lambda *a, p=place: total(*a)[p], (0, 1)))(
            views.logits, views.heads
        )
        for each in (grads[0], *grads[1].values()):
            assert {view for view, grad in each.items() if np.abs(grad).sum() > 0} == {name}


def test_labelled_examples_teach_all_three():
    views = at(METHOD, 0, 0.5)._replace(mask=np.array([True, False, True, True]))
    rows = [0, 2, 3]
    wanted = sum(
        -np.log(softmax(views.outputs("labelled", name))[rows, views.labels[rows]]).mean()
        for name in HEADS
    )
    np.testing.assert_allclose(METHOD.labelled_loss(views, cross_entropy, ()), wanted, rtol=1e-5)
