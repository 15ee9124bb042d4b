"""MixMatch: its targets, what each part of the mixed view learns, and labels that are missing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.consistency import MixMatch
from mtl_jax.consistency.mixmatch import GUESS
from mtl_jax.core.mixed_views import MixParams
from mtl_jax.core.views import view_key
from mtl_jax.losses import cross_entropy
from tests.consistency.seen import B, C, U, seen

METHOD = MixMatch(ramp=0.0)
MIXED = view_key(METHOD.mixed_view)
SIGHT = seen(METHOD, 3)

update = jax.jit(MixMatch.update, static_argnums=0)
supervised = jax.jit(MixMatch.labelled_loss, static_argnums=(0, 2))


def softmax(logits):
    powers = np.exp(np.asarray(logits, np.float64))
    return powers / powers.sum(-1, keepdims=True)


def sharp(q, temperature=0.5):
    powers = q ** (1.0 / temperature)
    return powers / powers.sum(-1, keepdims=True)


def targets(views, known):
    """The targets of the mixed images by the paper's formulas."""
    own, first, second = np.split(softmax(views.logits[view_key(GUESS)]), [B, B + U])
    hot = np.where(known[:, None], np.eye(C)[np.maximum(views.labels, 0)], sharp(own))
    guess = sharp((first + second) / 2)
    every = np.concatenate([hot, guess, guess])
    partner, ratio, _ = views.view_params[MIXED]
    return ratio[:, None] * every + (1 - ratio[:, None]) * every[partner]


@pytest.mark.parametrize("known", [[True] * 4, [True, False, True, False]], ids=["all", "two"])
def test_both_losses_are_the_papers(known):
    known = np.array(known)
    views = SIGHT._replace(mask=known, labels=np.where(known, SIGHT.labels, -1))
    wanted, said = targets(views, known), softmax(views.logits[MIXED])
    labelled = -(wanted * np.log(said)).sum(-1)[:B]
    np.testing.assert_allclose(
        supervised(METHOD, views, cross_entropy, ()), labelled[known].mean(), rtol=1e-5
    )
    loss, _, metrics = update(METHOD, views, ())
    each = np.square(wanted - said)[B:].mean(-1)
    np.testing.assert_allclose(loss, (each[:U] + each[U:]) / 2, rtol=1e-4)
    assert metrics["mask_rate"] == 1.0


def test_values_by_hand():
    """Two classes, a labelled image and two views of another; nothing is mixed."""
    logits = {
        view_key(GUESS): np.log(np.array([[0.5, 0.5], [0.9, 0.1], [0.7, 0.3]], np.float32)),
        MIXED: np.log(np.array([[0.25, 0.75], [0.5, 0.5], [0.5, 0.5]], np.float32)),
    }
    views = SIGHT._replace(
        logits=logits, labels=np.array([1], np.int32), mask=np.array([True]),
        view_params={MIXED: MixParams(np.array([1, 2, 0], np.int32), np.ones(3, np.float32))},
    )  # fmt: skip
    np.testing.assert_allclose(
        supervised(METHOD, views, cross_entropy, ()), -np.log(0.75), rtol=1e-5
    )
    guess = 0.64 / 0.68  # by hand: the mean is (.8, .2)
    np.testing.assert_allclose(update(METHOD, views, ())[0], [(guess - 0.5) ** 2], rtol=1e-4)


def test_no_label_at_all_is_no_loss():
    views = SIGHT._replace(mask=np.zeros(B, bool), labels=np.full(B, -1, np.int32))

    def total(said):
        now = views._replace(logits={**views.logits, MIXED: said})
        return supervised(METHOD, now, cross_entropy, ())

    value, grad = jax.value_and_grad(total)(views.logits[MIXED])
    assert value == 0.0
    np.testing.assert_array_equal(grad, np.zeros_like(grad))


def test_gradients_flow_into_mixed_images_only():
    def total(logits):
        views = SIGHT._replace(logits=logits)
        return supervised(METHOD, views, cross_entropy, ()), update(METHOD, views, ())[0].mean()

    labelled, unlabelled = jax.jacrev(total)(SIGHT.logits)
    for part, rows in ((labelled, np.arange(B)), (unlabelled, np.arange(B, B + 2 * U))):
        reached = np.abs(part.pop(MIXED)).sum(1) > 0
        np.testing.assert_array_equal(np.flatnonzero(reached), rows)
        jax.tree.map(lambda leaf: np.testing.assert_array_equal(leaf, 0.0 * leaf), part)


def test_the_temperature_changes_both_losses():
    warm = MixMatch(temperature=1.0, ramp=0.0)
    assert (
        abs(
            supervised(warm, SIGHT, cross_entropy, ())
            - supervised(METHOD, SIGHT, cross_entropy, ())
        )
        > 0
    )
    assert jnp.abs(update(warm, SIGHT, ())[0] - update(METHOD, SIGHT, ())[0]).min() > 1e-4


def test_the_ramp_leaves_the_labelled_loss_alone():
    early = SIGHT._replace(progress=np.float32(0.25))
    slow = MixMatch(ramp=0.5)
    np.testing.assert_allclose(
        update(slow, early, ())[0], 0.5 * update(METHOD, early, ())[0], rtol=1e-6
    )
    assert supervised(slow, early, cross_entropy, ()) == supervised(
        METHOD, early, cross_entropy, ()
    )
