"""MixMatch of numbers: which target each mixture has, and which mixtures count."""

import jax
import numpy as np
import pytest

from mtl_jax.consistency import MixMatchRegression
from mtl_jax.core.mixed_views import MixParams
from mtl_jax.core.views import view_key
from mtl_jax.losses import squared_error
from tests.consistency.seen import seen

METHOD = MixMatchRegression(ramp=0.0)
GUESS, MIXED = (view_key(view) for view in METHOD.views)
# Two labelled examples, and two unlabelled ones twice: targets are 10, 20, 3, 5, 3, 5.
LABELS = np.array([10.0, 20.0], np.float32)
OUTPUTS = np.array([[7.0], [8.0], [2.0], [6.0], [4.0], [4.0]], np.float32)
PARTNER = np.array([2, 1, 0, 4, 1, 5], np.int32)
RATIO = np.array([0.5, 0.75, 1.0, 0.5, 0.75, 0.5], np.float32)
TARGETS = [6.5, 20.0, 3.0, 4.0, 7.25, 5.0]  # by hand.


def sight(labels=LABELS, mask=(True, True)):
    return seen(METHOD, 0)._replace(
        logits={MIXED: np.zeros((6, 1), np.float32), GUESS: OUTPUTS},
        labels=labels,
        mask=np.array(mask),
        view_params={MIXED: MixParams(PARTNER, RATIO)},
    )


def both(sight):
    """Labelled and unlabelled losses."""
    return METHOD.labelled_loss(sight, squared_error, ()), METHOD.update(sight, ())[0]


@pytest.mark.parametrize("shape", [(2,), (2, 1)], ids=str)
def test_targets_are_mixed_as_the_images(shape):
    now = sight(LABELS.reshape(shape))
    np.testing.assert_allclose(jax.jit(METHOD.targets)(now)[:, 0], TARGETS)
    own, loss = jax.jit(both)(now)
    np.testing.assert_allclose(own, (6.5**2 + 20.0**2) / 2)  # by hand.
    np.testing.assert_allclose(loss, [(9 + 7.25**2) / 2, (16 + 25) / 2])  # by hand.


def test_a_missing_label_does_not_count_and_is_the_output_to_others():
    now = sight(np.array([10.0, np.nan], np.float32), (True, False))
    wanted = [6.5, 8.0, 3.0, 4.0, 0.75 * 3 + 0.25 * 8, 5.0]  # by hand.
    np.testing.assert_allclose(jax.jit(METHOD.targets)(now)[:, 0], wanted)
    own, _ = jax.jit(both)(now)
    np.testing.assert_allclose(own, 6.5**2)


def test_labels_of_several_numbers():
    wide = seen(METHOD, 0)
    labels = np.zeros((4, 4), np.float32)
    own, loss = jax.jit(both)(wide._replace(labels=labels))
    assert own.shape == () and loss.shape == (6,)


def test_no_gradient_flows_into_guesses():
    def total(guess, outputs):
        own, loss = both(sight()._replace(logits={MIXED: outputs, GUESS: guess}))
        return own + loss.sum()

    grads = jax.jit(jax.grad(total, (0, 1)))(OUTPUTS, np.zeros((6, 1), np.float32))
    np.testing.assert_array_equal(grads[0], np.zeros_like(OUTPUTS))
    assert (np.abs(grads[1]) > 0).all()
