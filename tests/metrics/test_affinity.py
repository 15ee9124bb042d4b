"""Affinity: values by hand, and groups against every choice of groups."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.core.validation import BadInput
from mtl_jax.metrics.affinity import MAX_TASKS, group_tasks, inter_task_affinity


def two_squares(shared):
    """Gradients [1, 0] and [2, 2] at (1, 1)."""
    x, y = shared["x"], shared["y"]
    return jnp.stack([x**2 / 2, x**2 + y**2])


def test_lookahead(variant):
    at = {"x": jnp.array(1.0), "y": jnp.array(1.0)}
    found = variant(lambda shared: inter_task_affinity(two_squares, shared, 0.5))(at)
    # by hand: task 1 goes to (0.5, 1), task 2 to (0, 0).
    np.testing.assert_allclose(found, [[0.75, 0.375], [1.0, 1.0]], rtol=1e-6)


def test_no_step_changes_nothing():
    at = {"x": jnp.array(1.0), "y": jnp.array(1.0)}
    np.testing.assert_array_equal(inter_task_affinity(two_squares, at, 0.0), np.zeros((2, 2)))


def test_a_task_that_conflicts_hurts():
    found = inter_task_affinity(
        lambda x: jnp.stack([(x - 1.0) ** 2, (x + 1.0) ** 2]), jnp.array(0.0), 0.25
    )
    np.testing.assert_allclose(found, [[0.75, -1.25], [-1.25, 0.75]])  # by hand: steps to 0.5.


def test_a_loss_of_zero_has_no_share_and_a_nan_stays():
    found = inter_task_affinity(lambda x: jnp.stack([x**2, (x - 2.0) ** 2]), jnp.array(2.0), 0.5)
    np.testing.assert_allclose(found, [[1.0, 0.0], [0.0, 0.0]])  # by hand: task 1 goes to 0.
    found = inter_task_affinity(lambda x: jnp.stack([x**2, jnp.log(-x)]), jnp.array(2.0), 0.5)
    np.testing.assert_array_equal(np.isnan(found), [[False, True], [False, True]])


def test_lookahead_over_seeds_and_without_gradient():
    at = {"x": jnp.array([1.0, 2.0]), "y": jnp.array([1.0, -1.0])}
    both = jax.vmap(lambda shared: inter_task_affinity(two_squares, shared, 0.5))(at)
    second = {"x": jnp.array(2.0), "y": jnp.array(-1.0)}
    np.testing.assert_allclose(both[1], inter_task_affinity(two_squares, second, 0.5))
    slope = jax.grad(lambda shared: inter_task_affinity(two_squares, shared, 0.5).sum())(second)
    assert jax.tree.leaves(slope) == [0.0, 0.0]


def score(matrix, group, task, singleton_score):
    """A task's score in a group."""
    others = [matrix[other][task] for other in group if other != task]
    return sum(others) / len(others) if others else singleton_score


def total(matrix, groups, singleton_score):
    """What groups are worth; minus infinity if they do not cover all."""
    worth = 0.0
    for task in range(len(matrix)):
        scores = [score(matrix, group, task, singleton_score) for group in groups if task in group]
        worth += max(scores, default=-np.inf)
    return worth


def best(matrix, most, singleton_score):
    """The highest worth over all choices of at most so many groups."""
    tasks = range(len(matrix))
    every = [g for size in range(1, len(matrix) + 1) for g in itertools.combinations(tasks, size)]
    return max(
        total(matrix, groups, singleton_score)
        for count in range(1, most + 1)
        for groups in itertools.combinations(every, count)
    )


@pytest.mark.parametrize(
    ("tasks", "most"), [(1, 2), (2, 1), (2, 3), (3, 2), (4, 1), (4, 3), (5, 2)]
)
@pytest.mark.parametrize("singleton_score", [-1e6, 0.0, 0.4])
def test_agrees_with_trying_all_groups(tasks, most, singleton_score):
    random = np.random.default_rng(tasks + 10 * most)
    for _ in range(3):
        matrix = random.normal(size=(tasks, tasks)) - 0.3
        groups = group_tasks(matrix, most, singleton_score)
        assert len(set(groups)) == len(groups) <= most
        assert groups == tuple(sorted(groups)) and all(g == tuple(sorted(g)) for g in groups)
        assert total(matrix, groups, singleton_score) == pytest.approx(
            best(matrix, most, singleton_score)
        )


def test_two_families_are_told_apart():
    matrix = np.full((5, 5), -1.0)
    matrix[:3, :3], matrix[3:, 3:] = 0.5, 0.2
    assert group_tasks(matrix, 2) == ((0, 1, 2), (3, 4))
    assert group_tasks(matrix, 1) == ((0, 1, 2, 3, 4),)


def test_a_helper_stands_in_two_groups():
    """Task 0 helps both others, which hurt each other and it."""
    matrix = [[0.0, 0.9, 0.9], [-0.1, 0.0, -0.5], [-0.2, -0.5, 0.0]]
    assert group_tasks(matrix, 2) == ((0, 1), (0, 2))


def test_a_task_that_all_hurt_is_alone_only_if_asked():
    matrix = np.array([[0.0, 0.5, -1.0], [0.5, 0.0, -1.0], [-1.0, -1.0, 0.0]])
    assert group_tasks(matrix, 2, singleton_score=0.0) == ((0, 1), (2,))
    assert all(len(group) > 1 for group in group_tasks(matrix, 2))


def test_the_diagonal_is_not_read():
    matrix = np.random.default_rng(0).normal(size=(4, 4))
    other = matrix + np.diag([np.nan, 9.0, -9.0, np.inf])
    assert group_tasks(matrix, 3) == group_tasks(other, 3)


def test_more_groups_are_never_worth_less():
    matrix = np.random.default_rng(1).normal(size=(10, 10))
    worths = [total(matrix, group_tasks(matrix, most), -1e6) for most in range(1, 7)]
    assert worths == sorted(worths) and worths[0] < worths[3]


@pytest.mark.parametrize(
    ("matrix", "groups", "singleton_score", "text"),
    [
        (np.zeros((2, 3)), 2, 0.0, r"affinity must be numbers \[K, K\], not \(2, 3\)"),
        (np.zeros((0, 0)), 2, 0.0, r"affinity must be numbers \[K, K\]"),
        (np.array([[0.0, np.nan], [0.0, 0.0]]), 2, 0.0, "affinity must be finite"),
        (np.zeros((2, 2)), 0, 0.0, "groups must be an integer of at least 1, not 0"),
        (np.zeros((2, 2)), 2, np.inf, "singleton_score must be finite, not inf"),
        (np.zeros((99, 99)), 2, 0.0, f"affinity must have at most {MAX_TASKS} tasks; join some"),
    ],
)
def test_bad_requests_are_named(matrix, groups, singleton_score, text):
    with pytest.raises(BadInput, match=text):
        group_tasks(matrix, groups, singleton_score)
