"""ReMixMatch: its four terms, whose targets are aligned, the head for turns, what may be left out."""

import dataclasses

import jax
import numpy as np
import pytest

from mtl_jax.consistency import DistributionAlignment, NoAlignment, ReMixMatch
from mtl_jax.consistency.remixmatch import GUESS, ROTATED
from mtl_jax.core.aux_inputs import DatasetSizes
from mtl_jax.core.head_specs import AuxHead
from mtl_jax.core.views import view_key
from mtl_jax.losses import cross_entropy
from tests.consistency.seen import B, C, U, seen

SIZES = DatasetSizes(C, 20, 4)
METHOD = ReMixMatch(align=DistributionAlignment("labels", 0.9), ramp=0.0)
MIXED = view_key(METHOD.mixture)
SIGHT = seen(METHOD, 4)
START = METHOD.init(SIZES)

update = jax.jit(ReMixMatch.update, static_argnums=0)


def softmax(logits):
    powers = np.exp(np.asarray(logits, np.float64))
    return powers / powers.sum(-1, keepdims=True)


def sharp(q):
    return q**2 / (q**2).sum(-1, keepdims=True)


def entropy(targets, logits):
    return -(targets * np.log(softmax(logits))).sum(-1)


def terms(views, known, momentum=0.9):
    """The four terms by the paper's formulas, for the first batch of a run."""
    own, weak = np.split(softmax(views.logits[view_key(GUESS)]), [B])
    hot = np.eye(C)[np.maximum(views.labels, 0)]
    wanted = momentum / C + (1 - momentum) * hot[known].mean(0)
    model = weak.mean(0)  # the running mean begins with the first batch
    aligned = weak * (wanted + 1e-6) / (model + 1e-6)
    guess = sharp(aligned / aligned.sum(-1, keepdims=True))
    every = np.concatenate([np.where(known[:, None], hot, sharp(own)), guess, guess, guess])
    partner, ratio, _ = views.view_params[MIXED]
    mixed = ratio[:, None] * every + (1 - ratio[:, None]) * every[partner]
    each = entropy(mixed, views.logits[MIXED])
    turns = np.eye(4)[views.view_params[view_key(ROTATED)]]
    told = entropy(turns, views.heads["rotation"][view_key(ROTATED)])
    unlabelled = each[B:].reshape(3, U).mean(0)
    return each[:B][known].mean(), unlabelled, entropy(guess, views.logits["strong"]), told


@pytest.mark.parametrize("known", [[True] * 4, [True, False, True, False]], ids=["all", "two"])
def test_the_terms_are_the_papers(known):
    known = np.array(known)
    views = SIGHT._replace(mask=known, labels=np.where(known, SIGHT.labels, -1))
    labelled, mixed, unmixed, told = terms(views, known)
    loss, _, metrics = update(METHOD, views, START)
    wanted = 1.5 * mixed + 0.5 * unmixed + 0.5 * told
    np.testing.assert_allclose(loss, wanted, rtol=1e-4)
    np.testing.assert_allclose(metrics["rotation_loss"], told.mean(), rtol=1e-5)
    own = METHOD.labelled_loss(views, cross_entropy, START)
    np.testing.assert_allclose(own, labelled, rtol=1e-5)


def test_guesses_come_nearer_to_the_labels_classes():
    def mean_guess(method):
        return method.targets(SIGHT, method.init(SIZES))[0].pseudo_labels.mean(0)

    labels = np.eye(C)[SIGHT.labels].mean(0)
    aligned, plain = (
        mean_guess(dataclasses.replace(METHOD, align=align, temperature=1.0))
        for align in (DistributionAlignment("labels", 0.0), NoAlignment())
    )
    assert np.abs(aligned - labels).sum() < 0.5 * np.abs(plain - labels).sum()


def test_gradients_flow_into_what_learns():
    def total(logits, heads):
        sight = SIGHT._replace(logits=logits, heads=heads)
        own = METHOD.labelled_loss(sight, cross_entropy, START)
        return update(METHOD, sight, START)[0].mean() + own

    grads, heads = jax.grad(total, (0, 1))(SIGHT.logits, SIGHT.heads)
    for name in (MIXED, "strong"):
        assert (np.abs(grads.pop(name)).sum(1) > 0).all()
    assert (np.abs(heads["rotation"].pop(view_key(ROTATED))).sum(1) > 0).all()
    jax.tree.map(lambda leaf: np.testing.assert_array_equal(leaf, 0.0 * leaf), (grads, heads))


def test_the_ramp_leaves_turns_and_labels_alone():
    slow = dataclasses.replace(METHOD, ramp=1.0)
    _, mixed, unmixed, told = terms(SIGHT, np.ones(B, bool))
    loss, _, _ = update(slow, SIGHT, START)  # half of the training is done
    wanted = 0.5 * (1.5 * mixed + 0.5 * unmixed) + 0.5 * told
    np.testing.assert_allclose(loss, wanted, rtol=1e-4)


def test_turns_may_be_left_out():
    bare = dataclasses.replace(METHOD, rotation=0.0)
    assert bare.aux_heads(C) == {} and ROTATED not in bare.views
    assert METHOD.aux_heads(C) == {"rotation": AuxHead(4)} and METHOD.views[-1] == ROTATED
    _, mixed, unmixed, _ = terms(SIGHT, np.ones(B, bool))
    loss, _, metrics = update(bare, SIGHT, START)
    np.testing.assert_allclose(loss, 1.5 * mixed + 0.5 * unmixed, rtol=1e-4)
    assert "rotation_loss" not in metrics
