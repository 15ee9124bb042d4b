"""Schemes: which tasks train at which step."""

import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.config.task_schedule import AlternatingTasks, ProgressiveTasks
from mtl_jax.core.validation import BadInput


def table(scheme, steps, tasks):
    return np.stack([scheme.active(jnp.int32(t), steps, tasks) for t in range(steps)]).astype(int)


def test_tasks_take_turns():
    expected = [[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 1, 0], [0, 0, 1], [0, 0, 1], [1, 0, 0]]
    np.testing.assert_array_equal(table(AlternatingTasks(2), 7, 3), expected)


def test_tasks_enter_and_stay():
    expected = [[1, 0], [1, 0], [1, 1], [1, 1]]
    np.testing.assert_array_equal(table(ProgressiveTasks((0, 0.5)), 4, 2), expected)
    # 0.07 * 100 is a little more than 7 in floats.
    np.testing.assert_array_equal(
        np.flatnonzero(table(ProgressiveTasks((0, 0.07)), 100, 2)[:, 1])[0], 7
    )
    # 0.5 of 5 steps have passed after the third one only.
    np.testing.assert_array_equal(table(ProgressiveTasks((0, 0.5)), 5, 2)[:, 1], [0, 0, 0, 1, 1])


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (
            lambda: ProgressiveTasks((0.0, 1.0)),
            r"ProgressiveTasks.start_fraction must be numbers in \[0, 1\)",
        ),
        (
            lambda: ProgressiveTasks((0.0, -0.5)),
            r"ProgressiveTasks.start_fraction must be numbers in \[0, 1\)",
        ),
        (lambda: ProgressiveTasks((0.1,)), "must have a task that enters at 0"),
        (lambda: ProgressiveTasks((0.0,)).check(2), "for each of 2 tasks"),
    ],
)
def test_bad_settings_are_named(make, said):
    with pytest.raises(BadInput, match=said):
        make()
