"""MetaBalance: steps by hand, each leaf on its own, the main task, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.aggregation import MetaBalance
from mtl_jax.core.validation import BadInput

KEY = jax.random.key(0)
ROWS = np.array([[3.0, 4.0], [0.0, -20.0], [0.1, 0.0]], "float32")


def run(method, *steps):
    state, found = method.init(3, jax.tree.map(lambda leaf: leaf[0], steps[0])), []
    for jacobian in steps:
        gradient, shares, state = jax.jit(method.combine)(jacobian, state, KEY)
        found.append((gradient, shares))
    return found


def test_the_first_step_by_hand():
    ((gradient, shares),) = run(MetaBalance(), ROWS)
    factors = np.array([1.0, 0.7 * 5 / 20 + 0.3, 0.7 * 5 / 0.1 + 0.3])
    np.testing.assert_allclose(gradient, factors @ ROWS, rtol=1e-5)
    np.testing.assert_allclose(shares, factors, rtol=1e-5)


def test_lengths_are_averaged_over_steps():
    _, (_, shares) = run(MetaBalance(momentum=0.8), ROWS, ROWS[[0, 2, 1]])
    means = 0.8 * 0.2 * np.array([5.0, 20.0, 0.1]) + 0.2 * np.array([5.0, 0.1, 20.0])
    np.testing.assert_allclose(shares, 0.7 * means[0] / means + 0.3, rtol=1e-5)  # by hand


def test_relaxation_goes_from_the_sum_to_the_main_length():
    ((gradient, _),) = run(MetaBalance(relaxation=0.0), ROWS)
    np.testing.assert_allclose(gradient, ROWS.sum(0), rtol=1e-6)
    ((gradient, _),) = run(MetaBalance(relaxation=1.0), ROWS)
    np.testing.assert_allclose(gradient, [3.0 + 5.0, 4.0 - 5.0], rtol=1e-5)  # by hand


def test_each_leaf_is_balanced_on_its_own():
    other = ROWS[[1, 0, 2]]
    ((both, _),) = run(MetaBalance(), {"a": ROWS, "b": {"w": other}})
    ((one, _),), ((two, _),) = run(MetaBalance(), ROWS), run(MetaBalance(), other)
    np.testing.assert_allclose(both["a"], one, rtol=1e-6)
    np.testing.assert_allclose(both["b"]["w"], two, rtol=1e-6)


def test_the_main_task_may_stand_anywhere():
    ((first, shares),) = run(MetaBalance(main=0), ROWS)
    ((last, others),) = run(MetaBalance(main=2), ROWS[[1, 2, 0]])
    np.testing.assert_allclose(last, first, rtol=1e-5)
    np.testing.assert_allclose(others, shares[jnp.array([1, 2, 0])], rtol=1e-5)


def test_a_main_task_without_gradient_leaves_the_rest_of_the_others():
    ((gradient, shares),) = run(MetaBalance(), ROWS * np.array([[0.0], [1.0], [1.0]], "float32"))
    np.testing.assert_allclose(gradient, 0.3 * ROWS[1:].sum(0), rtol=1e-5)  # by hand
    np.testing.assert_allclose(shares, [0.0, 0.3, 0.3], rtol=1e-5)


def test_lengths_far_apart_do_not_overflow():
    ((gradient, _),) = run(MetaBalance(relaxation=1.0), ROWS * np.float32([[1e15], [1.0], [1e-30]]))
    np.testing.assert_allclose(gradient / 1e15, [3.0 + 5.0, 4.0 - 5.0], rtol=1e-4)


def test_a_main_task_that_is_not_there_is_refused():
    with pytest.raises(BadInput, match=r"MetaBalance.main must be below the number of tasks, 3"):
        MetaBalance(main=3).init(3, {})
