"""Class queues: against a loop over examples, missing labels, more than a queue holds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.transfer import empty_queues, enqueue

RANDOM = np.random.default_rng(0)


def by_loop(keys, labels, length):
    """The keys of each class in a list, the last `length` of them."""
    lists = [[] for _ in range(3)]
    for key, label in zip(keys, labels, strict=True):
        if 0 <= label < 3:
            lists[label] = [*lists[label], tuple(key)][-length:]
    return lists


@pytest.mark.parametrize("batch", [1, 5, 20])
def test_against_a_loop(batch):
    keys = RANDOM.normal(size=(40, 2)).astype(np.float32)
    labels = RANDOM.integers(-1, 3, size=40)
    queues, put = empty_queues(3, 4, 2), jax.jit(enqueue)
    for start in range(0, 40, batch):
        part = slice(start, start + batch)
        queues = put(queues, jnp.array(keys[part]), jnp.array(labels[part]))
        found = [
            sorted(map(tuple, np.asarray(row)[np.asarray(there)]))
            for row, there in zip(queues.keys, queues.mask, strict=True)
        ]
        lists = by_loop(keys[: part.stop], labels[: part.stop], 4)
        assert found == [sorted(row) for row in lists]


def test_the_oldest_goes_first():
    queues = empty_queues(2, 2, 1)
    for key in (1.0, 2.0, 3.0):
        queues = enqueue(queues, jnp.array([[key]]), jnp.array([1]))
    np.testing.assert_array_equal(queues.keys[..., 0], [[0.0, 0.0], [3.0, 2.0]])  # by hand
    np.testing.assert_array_equal(queues.filled, [0, 2])


def test_what_is_no_class_takes_no_place():
    queues = enqueue(empty_queues(2, 3, 1), jnp.ones((3, 1)), jnp.array([-1, 2, -7]))
    assert not queues.keys.any() and not queues.filled.any() and not queues.mask.any()


def test_nothing_flows_through():
    slope = jax.grad(lambda k: enqueue(empty_queues(1, 2, 1), k, jnp.array([0])).keys.sum())
    assert not slope(jnp.ones((1, 1))).any()


def test_shapes_are_checked():
    with pytest.raises(ValueError, match=r"keys \[B, 2\]"):
        enqueue(empty_queues(2, 3, 2), jnp.ones((3, 1)), jnp.zeros(3, jnp.int32))
