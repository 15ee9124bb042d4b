"""The mean over what is labelled: examples, entries of vectors, and nothing of what is missing."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtl_jax.core.validation import BadInput
from mtl_jax.losses import (
    binary_cross_entropy,
    cross_entropy,
    ctc_loss,
    dice_loss,
    squared_error,
)
from mtl_jax.losses.masked import known_entries, masked_mean

NAN = np.nan
OUTPUTS = np.array([[1.0, -2.0, 0.5], [0.0, 3.0, -1.0], [2.0, 2.0, 2.0]], np.float32)
LABELS = np.array([[1.0, NAN, 0.0], [NAN, NAN, NAN], [1.0, 1.0, 0.0]], np.float32)
MASK = np.array([True, False, True])
WHOLE = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0], [1.0, 1.0, 0.0]], np.float32)


def entry(loss, outputs, labels):
    """The loss of each entry, in float64, by NumPy."""
    z, y = outputs.astype(np.float64), labels.astype(np.float64)
    return np.logaddexp(0.0, z) - y * z if loss is binary_cross_entropy else (z - y) ** 2


vectors = pytest.mark.parametrize("loss", [binary_cross_entropy, squared_error])


@vectors
def test_a_vector_is_a_mean_over_its_known_entries(loss, variant):
    """As Open Graph Benchmark trains: `loss(pred[is_labeled], y[is_labeled])`."""
    known = ~np.isnan(LABELS)
    wanted = entry(loss, OUTPUTS[known], LABELS[known]).mean()
    for each in (loss, functools.partial(loss)):
        mean = variant(functools.partial(masked_mean, each))
        np.testing.assert_allclose(mean(OUTPUTS, LABELS, MASK), wanted, rtol=1e-6)


@vectors
def test_where_nothing_is_missing_it_is_the_mean_over_examples_bit_by_bit(loss):
    def plain(outputs):
        each = jnp.where(MASK, loss(outputs, WHOLE), 0.0)
        return each.sum() / MASK.sum().astype(np.float32)

    wanted = jax.value_and_grad(plain)(OUTPUTS)
    found = jax.value_and_grad(lambda z: masked_mean(loss, z, jnp.asarray(WHOLE), MASK))(OUTPUTS)
    jax.tree.map(np.testing.assert_array_equal, found, wanted)
    np.testing.assert_allclose(found[0], entry(loss, OUTPUTS, WHOLE)[MASK].mean(), rtol=1e-6)


@vectors
def test_so_it_is_whatever_the_numbers(loss):
    """Sums over entries and sums over examples round differently in some of the draws."""
    random = np.random.default_rng(0)
    for _ in range(10):
        outputs = (100.0 * random.normal(size=(7, 3))).astype(np.float32)
        labels = jnp.asarray(random.integers(0, 2, (7, 3)), jnp.float32)
        found = masked_mean(loss, outputs, labels, jnp.ones(7, bool))
        np.testing.assert_array_equal(found, loss(outputs, labels).sum() / np.float32(7.0))


@vectors
def test_the_gradient_is_that_of_the_known_entries(loss):
    known = ~np.isnan(LABELS)
    slope = jax.grad(lambda z: masked_mean(loss, z, LABELS, MASK))(OUTPUTS)
    z, y = OUTPUTS.astype(np.float64), np.where(known, LABELS, 0.0)
    each = 1.0 / (1.0 + np.exp(-z)) - y if loss is binary_cross_entropy else 2.0 * (z - y)
    np.testing.assert_allclose(slope, np.where(known, each, 0.0) / known.sum(), rtol=1e-5)


@vectors
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_what_is_missing_changes_nothing(loss, data):
    shape = data.draw(st.sampled_from([(4, 3), (2, 5), (6, 1)]))
    bits = data.draw(st.lists(st.booleans(), min_size=shape[0], max_size=shape[0]))
    seed = data.draw(st.integers(0, 2**16))
    random = np.random.default_rng(seed)
    mask, known = np.array(bits), random.random(shape) < 0.6
    labels = np.where(known, random.integers(0, 2, shape), NAN).astype(np.float32)
    outputs, other = (random.normal(size=shape).astype(np.float32) for _ in range(2))
    counts = known & mask[:, None]
    value, slope = jax.value_and_grad(lambda z: masked_mean(loss, z, labels, mask))(outputs)
    wanted = entry(loss, outputs[counts], labels[counts]).mean() if counts.any() else 0.0
    np.testing.assert_allclose(value, wanted, rtol=1e-5)
    assert not slope[~counts].any() and np.isfinite(slope).all()
    changed = masked_mean(loss, np.where(counts, outputs, other), labels, mask)
    np.testing.assert_array_equal(changed, value)
    hidden = masked_mean(loss, outputs, np.where(mask[:, None], labels, 1.0), mask)
    np.testing.assert_array_equal(hidden, value)


def test_classes_are_a_mean_over_the_labelled_examples():
    labels = np.array([2, -1, 0], np.int32)
    logs = OUTPUTS - np.log(np.exp(OUTPUTS.astype(np.float64)).sum(1, keepdims=True))
    found = masked_mean(cross_entropy, OUTPUTS, labels, MASK)
    np.testing.assert_allclose(found, -(logs[0, 2] + logs[2, 0]) / 2, rtol=1e-6)
    assert masked_mean(cross_entropy, OUTPUTS, labels, MASK & False) == 0.0


def test_the_mask_is_that_of_the_same_example():
    """Every example's loss is another one, so that a neighbour's mask would tell."""
    outputs = np.arange(1.0, 6.0, dtype=np.float32)[:, None]
    for place in range(5):
        mask = np.arange(5) == place
        found = masked_mean(squared_error, outputs, np.zeros(5, np.float32), mask)
        assert found == (place + 1.0) ** 2


def test_a_column_is_as_a_row():
    labels = np.array([1.0, NAN, 0.0], np.float32)
    one = masked_mean(squared_error, OUTPUTS[:, :1], labels, MASK)
    np.testing.assert_array_equal(
        masked_mean(squared_error, OUTPUTS[:, :1], labels[:, None], MASK), one
    )
    np.testing.assert_allclose(one, (0.0 + 4.0) / 2)


def test_an_own_loss_of_examples_counts_the_complete_ones():
    found = masked_mean(lambda z, y: jnp.abs(z - y).mean(-1), OUTPUTS, LABELS, MASK)
    np.testing.assert_allclose(found, 4 / 3, rtol=1e-6)  # Of the last; the first lacks an entry.


def test_an_own_loss_of_entries_is_masked_entry_by_entry():
    found = masked_mean(lambda z, y: jnp.abs(z - y), OUTPUTS, LABELS, MASK)
    np.testing.assert_allclose(found, (0.0 + 0.5 + 1.0 + 1.0 + 2.0) / 5)


@pytest.mark.parametrize("axes", [None, 0], ids=["a number", "by label"])
def test_a_loss_that_reduces_is_refused(axes):
    with pytest.raises(BadInput, match=r"Task\.loss must give a loss for each example"):
        masked_mean(lambda z, y: jnp.square(z - y).mean(axes), OUTPUTS[:2], LABELS[:2], MASK[:2])
    with pytest.raises(BadInput, match=r"Task\.loss must .*not \(3, 1\)"):
        masked_mean(lambda z, y: z[:, :1], OUTPUTS, LABELS[:, 0], MASK)


def test_negative_classes_of_a_map_are_missing():
    found = known_entries(jnp.array([[0, -1], [1, 1]]), jnp.array([True, False]))
    np.testing.assert_array_equal(found, [[True, False], [False, False]])


@pytest.mark.parametrize("loss", [ctc_loss, dice_loss])
def test_a_loss_of_wholes_sees_what_is_missing_and_counts_examples_with_something(loss):
    outputs = np.random.default_rng(0).normal(size=(4, 5, 3)).astype(np.float32)
    labels = np.array([[1, 2, -1, -1, -1], [2, -1, -1, -1, -1], [-1] * 5, [1] * 5], np.int32)
    mask = np.array([True, True, True, False])
    value, grad = jax.value_and_grad(lambda z: masked_mean(loss, z, labels, mask))(outputs)
    np.testing.assert_allclose(value, loss(outputs, labels)[:2].mean(), rtol=1e-6)
    assert np.isfinite(grad).all()
    np.testing.assert_array_equal(np.abs(grad).sum((1, 2)) > 0, [True, True, False, False])
