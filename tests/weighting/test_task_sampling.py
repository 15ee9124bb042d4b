"""Sampled: one task a step, in the proportions of the sizes, tempered and capped."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.core.validation import BadInput
from mtl_jax.weighting import TaskSampling

KEYS = jax.random.split(jax.random.key(0), 20000)


def drawn(method, num_tasks=3):
    losses = jnp.ones(num_tasks)
    state = method.init(num_tasks)
    return jax.jit(jax.vmap(lambda key: method.weigh_losses(losses, state, key)[0]))(KEYS)


@pytest.mark.parametrize(
    ("settings", "wanted"),  # by hand.
    [
        ({}, [1 / 3, 1 / 3, 1 / 3]),
        ({"sizes": (100, 900, 0)}, [0.1, 0.9, 0.0]),
        ({"sizes": (1, 4, 25), "temperature": 2.0}, [1 / 8, 2 / 8, 5 / 8]),
        ({"sizes": (10, 10**12, 30), "cap": 60.0}, [0.1, 0.6, 0.3]),
        ({"sizes": (1, 4, 10**9), "temperature": 1e6}, [1 / 3, 1 / 3, 1 / 3]),
    ],
    ids=["none", "proportional", "tempered", "capped", "uniform"],
)
def test_frequencies(settings, wanted):
    weights = np.asarray(drawn(TaskSampling(**settings)))
    assert set(np.unique(weights)) == {0.0, 1.0}
    np.testing.assert_array_equal(weights.sum(1), 1.0)
    np.testing.assert_allclose(weights.mean(0), wanted, atol=0.015)


def test_losses_do_not_matter():
    method = TaskSampling(sizes=(1, 2))
    for key in KEYS[:5]:
        one, _ = method.weigh_losses(jnp.array([1.0, 9.0]), (), key)
        two, _ = method.weigh_losses(jnp.array([0.0, 0.0]), (), key)
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"sizes": (1, -1)}, "TaskSampling.sizes must be a tuple of finite numbers of at least 0"),
    ],
)
def test_bad_settings(settings, text):
    with pytest.raises(BadInput, match=text):
        TaskSampling(**settings)


def test_another_number_of_tasks_is_refused():
    with pytest.raises(BadInput, match=r"TaskSampling\.sizes must have 3 entries, not"):
        TaskSampling(sizes=(1, 2)).init(3)
