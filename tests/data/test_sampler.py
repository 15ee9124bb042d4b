"""Sampler: every epoch is a permutation, epochs and keys differ, any step stands alone."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.core.validation import BadInput
from mtl_jax.data import batch_index

KEY = jax.random.key(0)


@functools.partial(jax.jit, static_argnames=("steps", "size", "batch"))
def stream(key, steps, size, batch):
    """The first steps of the stream, one after the other, `[steps * batch]`."""
    at = jax.vmap(lambda step: batch_index(key, step, size, batch))
    return at(jnp.arange(steps)).reshape(-1)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 100, 8000])
def test_every_epoch_visits_every_example_once(size):
    epochs = stream(KEY, 3, size, size).reshape(3, size)
    assert epochs.dtype == jnp.int32
    np.testing.assert_array_equal(jnp.sort(epochs, axis=1), np.tile(np.arange(size), (3, 1)))
    if size >= 64:
        assert (epochs[0] == epochs[1]).mean() < 0.1
        assert (epochs[0] == jnp.arange(size)).mean() < 0.1


@pytest.mark.parametrize(("size", "batch"), [(7, 3), (3, 7), (100, 64)])
def test_batches_run_on_into_the_next_epoch(size, batch):
    flat = stream(KEY, 3 * size, size, batch)
    np.testing.assert_array_equal(flat, stream(KEY, 3 * batch, size, size))


def plain(words, epoch, place, size):
    """One place of one epoch in Python's integers."""

    def mix(x):
        x = (x ^ x >> 16) * 0x85EBCA6B % 2**32
        x = (x ^ x >> 13) * 0xC2B2AE35 % 2**32
        return x ^ x >> 16

    half = 3
    while 4**half < size:
        half += 1
    keys = []
    for i in range(6):
        state = (i + 1) * 0x9E3779B9 % 2**32
        for word in words:
            state = mix(state ^ word)
        keys.append(mix(state ^ epoch))
    while True:
        left, right = divmod(place, 2**half)
        for key in keys:
            left, right = right, left ^ mix(right ^ key) % 2**half
        place = left * 2**half + right
        if place < size:
            return place


@pytest.mark.parametrize("size", [1, 3, 64, 65, 2**31 - 1])
def test_equals_the_rule_in_plain_python(size):
    words = [int(word) for word in jax.random.key_data(KEY)]
    found = batch_index(KEY, 123, size, 5)
    places = [divmod(p, size) for p in range(123 * 5, 124 * 5)]
    assert found.tolist() == [plain(words, *place, size) for place in places]


def test_any_step_stands_alone():
    at = jax.jit(lambda step: batch_index(KEY, step, 100, 30))
    np.testing.assert_array_equal(stream(KEY, 12, 100, 30)[330:], at(11))


def test_vmap_over_keys_equals_a_loop():
    keys = jax.random.split(KEY, 4)
    together = jax.vmap(lambda key: stream(key, 2, 100, 30))(keys)
    np.testing.assert_array_equal(together, [stream(key, 2, 100, 30) for key in keys])
    assert len({tuple(row) for row in together.tolist()}) == 4


def test_other_kinds_of_keys_do():
    key = jax.random.key(0, impl="rbg")
    np.testing.assert_array_equal(jnp.sort(stream(key, 1, 64, 64)), np.arange(64))
    other = jax.random.wrap_key_data(jax.random.key_data(key).at[3].add(jnp.uint32(1)), impl="rbg")
    assert (stream(key, 1, 64, 64) != stream(other, 1, 64, 64)).any()


@pytest.mark.parametrize("over", ["epochs", "keys"])
def test_orders_are_uniform(over):
    """Chi-square of the 120 orders of five; its mean is the degrees of freedom."""
    size, draws = 5, 20_000
    if over == "epochs":
        orders = stream(KEY, draws, size, size).reshape(draws, size)
    else:
        keys = jax.vmap(jax.random.key)(jnp.arange(draws))
        orders = jax.vmap(lambda key: stream(key, 1, size, size))(keys)
    _, counts = np.unique(np.asarray(orders), axis=0, return_counts=True)
    assert len(counts) == 120
    expected, freedom = draws / 120, 119
    chi = ((counts - expected) ** 2 / expected).sum()
    assert abs(chi - freedom) < 5 * np.sqrt(2 * freedom)


def test_pairs_of_places_are_uniform():
    """Chi-square of where two examples of forty lie."""
    size, draws = 40, 16_000
    orders = np.asarray(stream(KEY, draws, size, size)).reshape(draws, size)
    counts = np.zeros((size, size))
    np.add.at(counts, (orders[:, 0], orders[:, 3]), 1)
    np.testing.assert_array_equal(np.diag(counts), 0)
    observed = counts[~np.eye(size, dtype=bool)]
    expected, freedom = draws / len(observed), len(observed) - 1
    chi = ((observed - expected) ** 2 / expected).sum()
    assert abs(chi - freedom) < 5 * np.sqrt(2 * freedom)


def test_large_data_sets_need_no_permutation():
    index = batch_index(KEY, 10**6, 2**30, 4)
    assert index.shape == (4,) and (index >= 0).all() and (index < 2**30).all()


def test_works_with_64_bit_numbers():
    expected = batch_index(KEY, 7, 100, 30)
    with jax.enable_x64(True):
        found = batch_index(KEY, jnp.int64(7), 100, 30)
    assert found.dtype == jnp.int32
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("size", "batch", "name"), [(0, 1, "size"), (1, 0, "batch"), (2**31, 1, "size")]
)
def test_bad_sizes_are_named(size, batch, name):
    with pytest.raises(BadInput, match=f"batch_index.{name} must be an integer from 1"):
        batch_index(KEY, 0, size, batch)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="key must be one typed key"):
        batch_index(jax.random.split(KEY), 0, 3, 1)
    with pytest.raises(ValueError, match="key must be one typed key"):
        batch_index(jnp.zeros(2, jnp.uint32), 0, 3, 1)
    with pytest.raises(ValueError, match="step must be one integer"):
        batch_index(KEY, 0.5, 3, 1)
