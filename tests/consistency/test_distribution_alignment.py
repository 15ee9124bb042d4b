"""Distribution alignment: what the guesses become, by hand, and what the states hold."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.consistency import DistributionAlignment, Match, QueueAlignment
from mtl_jax.core.aux_inputs import DatasetSizes
from tests.consistency.seen import seen

GUESS = np.array([[0.8, 0.2], [0.6, 0.4]], np.float32)  # mean 0.7, 0.3
SIZES = DatasetSizes(2, 10, 10)
VIEWS = seen(Match(), 0)._replace(
    labels=np.array([0, 1, 1, 1], np.int32), mask=np.array([True, True, False, True]),
    logits={"labelled": np.log(np.array([[0.9, 0.1], [0.5, 0.5]], np.float32))},
)  # fmt: skip


def after(align, steps=1):
    """Aligned probabilities and the state after some equal batches."""
    state = align.init(SIZES)
    update = jax.jit(align.update)
    for _ in range(steps):
        found, state = update(np.log(GUESS), VIEWS, state)
    return np.exp(found), state


def normalized(ratio):
    wanted = GUESS * ratio
    return wanted / wanted.sum(1, keepdims=True)


def test_to_the_uniform():
    found, state = after(DistributionAlignment())
    np.testing.assert_allclose(found, normalized(0.5 / np.array([0.7, 0.3])), rtol=1e-4)
    np.testing.assert_allclose(state.target, [0.5, 0.5])
    np.testing.assert_allclose(found.mean(0), [0.5, 0.5], atol=0.02)


def test_to_the_labels_that_are_there():
    _, state = after(DistributionAlignment("labels", momentum=0.0))
    np.testing.assert_allclose(state.target, [1 / 3, 2 / 3], rtol=1e-6)  # 0, 1 and 1.
    none = VIEWS._replace(mask=np.zeros(4, bool))
    _, state = DistributionAlignment("labels", momentum=0.0).update(
        np.log(GUESS), none, DistributionAlignment("labels").init(SIZES)
    )
    np.testing.assert_allclose(state.target, [0.5, 0.5], rtol=1e-6)


def test_to_what_the_model_says_of_labelled_images():
    _, state = after(DistributionAlignment("labelled", momentum=0.5))
    np.testing.assert_allclose(state.target, [0.6, 0.4], rtol=1e-6)  # (0.5 + 0.7) / 2.


def test_a_queue_forgets_the_oldest():
    align = QueueAlignment(2)
    _, state = after(align, 3)
    np.testing.assert_allclose(state.means, np.broadcast_to([0.7, 0.3], (2, 2)), rtol=1e-6)
    _, state = align.update(np.log(GUESS[:, ::-1].copy()), VIEWS, state)
    np.testing.assert_allclose(state.means, [[0.7, 0.3], [0.3, 0.7]], rtol=1e-6)
    assert int(state.count) == 4


def test_a_class_that_is_never_guessed_does_no_harm():
    sure = np.log(np.array([[1.0, 1e-30]], np.float32))
    found, _ = DistributionAlignment().update(sure, VIEWS, DistributionAlignment().init(SIZES))
    assert np.isfinite(found[0, 0]) and not np.isnan(np.exp(found)).any()
    assert jnp.exp(found).sum() == pytest.approx(1.0)
