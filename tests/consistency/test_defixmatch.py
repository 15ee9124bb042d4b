"""DeFixMatch: nothing in the mean where both distributions are one, and both labelled views."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.consistency import DeFixMatch, fixmatch
from mtl_jax.losses import cross_entropy, squared_error
from tests.consistency.seen import seen

METHOD = DeFixMatch(threshold=0.6)
SIGHT = seen(METHOD, 0)
NAMES = ("labelled", "labelled_strong", "weak", "strong")

update = jax.jit(DeFixMatch.update, static_argnums=0)
supervised = jax.jit(DeFixMatch.labelled_loss, static_argnums=(0, 2))
STATE = METHOD.init(None)


def test_the_labelled_images_loss_is_taken_off():
    loss, _, metrics = update(METHOD, SIGHT, STATE)
    views = SIGHT.logits
    added, mask = fixmatch(views["strong"], views["weak"], threshold=0.6)
    taken, other = fixmatch(views["labelled_strong"], views["labelled"], threshold=0.6)
    np.testing.assert_allclose(loss, added - taken.mean(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(metrics["mask_rate"], mask.mean())
    np.testing.assert_allclose(metrics["labelled_mask_rate"], other.mean())
    assert 0 < mask.mean() < 1 and taken.sum() > 0, "else the test says little"


def test_the_same_images_on_both_sides_cancel():
    """Value and gradient: what is added to the risk is 0 in the mean."""

    def added(strong):
        logits = dict(zip(NAMES, (SIGHT.logits["weak"], strong) * 2, strict=True))
        views = SIGHT._replace(logits=logits, mask=jnp.ones(6, bool))
        return update(METHOD, views, STATE)[0].mean()

    value, grad = jax.value_and_grad(added)(SIGHT.logits["strong"])
    np.testing.assert_allclose(value, 0.0, atol=1e-6)
    np.testing.assert_allclose(grad, np.zeros_like(grad), atol=1e-6)


def test_the_loss_may_be_negative_and_pushes_the_labelled_strong_view_away():
    def total(logits):
        return update(METHOD, SIGHT._replace(logits=logits), STATE)[0].mean()

    grads = jax.grad(total)(SIGHT.logits)
    for weak in ("labelled", "weak"):
        np.testing.assert_array_equal(grads[weak], np.zeros_like(grads[weak]))
    step = SIGHT.logits["labelled_strong"] - 9.0 * grads["labelled_strong"]
    pair = SIGHT.logits["labelled"]
    before = fixmatch(SIGHT.logits["labelled_strong"], pair, threshold=0.6)[0].mean()
    assert fixmatch(step, pair, threshold=0.6)[0].mean() > before


@pytest.mark.parametrize("some", [True, False])
def test_images_without_the_label_are_not_taken_off(some):
    known = some & (np.arange(4) != hidden())
    views = SIGHT._replace(mask=known, labels=np.where(known, SIGHT.labels, -1))
    loss, _, _ = update(METHOD, views, STATE)
    added, _ = fixmatch(views.outputs("strong"), views.outputs("weak"), threshold=0.6)
    taken, _ = fixmatch(views.outputs("labelled_strong"), views.outputs("labelled"), threshold=0.6)
    wanted = added - taken[known].mean() if known.any() else np.zeros(6)
    np.testing.assert_allclose(loss, wanted, rtol=1e-5, atol=1e-6)
    assert np.isfinite(supervised(METHOD, views, cross_entropy, ()))


def hidden():
    """The labelled image with the largest loss of its own guess."""
    pair = SIGHT.logits["labelled_strong"], SIGHT.logits["labelled"]
    return int(fixmatch(*pair, threshold=0.6)[0].argmax())


def test_supervised_is_the_mean_of_both_views():
    each = [cross_entropy(SIGHT.logits[name], SIGHT.labels).mean() for name in NAMES[:2]]
    found = supervised(METHOD, SIGHT, cross_entropy, ())
    np.testing.assert_allclose(found, np.mean(each), rtol=1e-6)


def test_supervised_takes_the_loss_of_the_task():
    views = SIGHT._replace(labels=np.ones((4, 4), np.float32))
    each = [np.square(views.outputs(name) - 1.0).mean() for name in NAMES[:2]]
    np.testing.assert_allclose(
        supervised(METHOD, views, squared_error, ()), np.mean(each), rtol=1e-6
    )
