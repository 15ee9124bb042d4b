"""AdaMatch: logits between both passes, its two losses, its ramp, and its alignment."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.consistency import AdaMatch, DistributionAlignment, WindowAlignment
from mtl_jax.consistency.adamatch import SEPARATE, labelled_logits
from mtl_jax.core.aux_inputs import DatasetSizes
from mtl_jax.core.prng import fold_in_name
from mtl_jax.core.views import view_key
from mtl_jax.losses import cross_entropy
from tests.consistency.seen import B, C, seen

METHOD = AdaMatch()
SIZES = DatasetSizes(C, 20, 20)
SIGHT = seen(METHOD, 0)
START = METHOD.init(SIZES)
update = jax.jit(AdaMatch.update, static_argnums=0)


def softmax(logits):
    shifted = np.exp(np.asarray(logits, np.float64))
    return shifted / shifted.sum(-1, keepdims=True)


def interpolated(sight):
    """Weak and strong labelled logits as the paper has them, in numpy."""
    ratio = jax.random.uniform(fold_in_name(sight.key, "interpolation"), (2 * B, C), np.float32)
    joint = np.concatenate([sight.logits["labelled"], sight.logits["labelled_strong"]])
    alone = sight.logits[view_key(SEPARATE)]
    return np.split(joint * (1.0 - ratio) + alone * ratio, 2)


def test_logits_lie_between_both_passes():
    weak, strong = labelled_logits(SIGHT)
    alone = np.split(SIGHT.logits[view_key(SEPARATE)], 2)
    for found, name, other in ((weak, "labelled", 0), (strong, "labelled_strong", 1)):
        ends = np.sort([SIGHT.logits[name], alone[other]], axis=0)
        assert (found >= ends[0] - 1e-6).all() and (found <= ends[1] + 1e-6).all()
        share = (found - SIGHT.logits[name]) / (alone[other] - SIGHT.logits[name])
        assert len(np.unique(np.round(share, 4))) == B * C  # each logit has an r of its own


def test_supervised_is_the_mean_of_both_views():
    found = jax.jit(METHOD.labelled_loss, static_argnums=1)(SIGHT, cross_entropy, ())
    each = [-np.log(softmax(z)[np.arange(B), SIGHT.labels]) for z in interpolated(SIGHT)]
    np.testing.assert_allclose(found, np.mean(each), rtol=1e-5)


def test_the_loss_is_the_papers():
    """One step from the start, recomputed from the formula in numpy."""
    loss, state, metrics = update(METHOD, SIGHT, START)
    labelled, guess = softmax(interpolated(SIGHT)[0]), softmax(SIGHT.logits["weak"])
    target = 0.999 / C + 0.001 * labelled.mean(0)
    model = (127 / C + guess.mean(0)) / 128
    aligned = guess * (target + 1e-6) / (model + 1e-6)
    aligned /= aligned.sum(-1, keepdims=True)
    threshold = 0.9 * labelled.max(-1).mean()
    mask = aligned.max(-1) >= threshold
    own = -np.log(softmax(SIGHT.logits["strong"])[np.arange(len(guess)), aligned.argmax(-1)])
    np.testing.assert_allclose(metrics["threshold"], threshold, rtol=1e-5)
    np.testing.assert_allclose(metrics["mask_rate"], mask.mean(), rtol=1e-6)
    np.testing.assert_allclose(loss, mask * own, rtol=1e-4)  # half way the ramp is at 1
    np.testing.assert_allclose(state.align.target, target, rtol=1e-5)
    assert 0 < mask.mean() < 1


@pytest.mark.parametrize(
    ("progress", "wanted"),
    [(0.0, 0.0), (1 / 6, 0.25), (0.25, 0.5), (0.5, 1.0), (0.75, 1.0)],  # by hand.
)
def test_the_weight_grows_as_a_cosine(progress, wanted):
    whole, *_ = update(METHOD, SIGHT, START)
    loss, *_ = update(METHOD, SIGHT._replace(progress=np.float32(progress)), START)
    np.testing.assert_allclose(loss, wanted * whole, rtol=1e-4, atol=1e-6)


def test_both_passes_learn_from_labels_and_the_strong_view_from_guesses():
    def total(logits, unlabelled):
        sight = SIGHT._replace(logits=logits)
        if unlabelled:
            return METHOD.update(sight, START)[0].sum()
        return METHOD.labelled_loss(sight, cross_entropy, ())

    labelled = (*METHOD.views[:2], view_key(SEPARATE))
    for unlabelled, learn in ((False, labelled), (True, ("strong",))):
        grads = jax.jit(jax.grad(total), static_argnums=1)(SIGHT.logits, unlabelled)
        assert {name for name, grad in grads.items() if np.any(grad)} == set(learn)


def test_a_window_forgets_what_is_older():
    align = WindowAlignment(length=2, momentum=1.0)
    guesses = np.log([[[0.9, 0.1]], [[0.5, 0.5]], [[0.7, 0.3]]])
    sight = SIGHT._replace(logits={"labelled": jnp.zeros((1, 2))})
    state = align.init(DatasetSizes(2, 1, 1))
    for guess in guesses:
        found, state = align.update(jnp.array(guess, jnp.float32), sight, state)
    np.testing.assert_allclose(state.means, [[0.7, 0.3], [0.5, 0.5]], rtol=1e-6)  # by hand.
    wanted = np.array([0.7 / 0.6, 0.3 / 0.4])  # by hand: the mean of both is .6, .4.
    np.testing.assert_allclose(jnp.exp(found)[0], wanted / wanted.sum(), rtol=1e-5)


def test_running_means_on_both_sides_may_be_asked_for():
    method = AdaMatch(DistributionAlignment("labelled", 0.9))
    _, state, _ = update(method, SIGHT, method.init(SIZES))
    guess = softmax(SIGHT.logits["weak"]).mean(0)
    np.testing.assert_allclose(state.align.model, guess, rtol=1e-5)
