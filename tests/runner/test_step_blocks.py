"""The loop: where blocks end, what is due, what an evaluation averages over."""

import numpy as np
import pytest

from mtl_jax.runner.evaluation import mean_metrics, parameters
from mtl_jax.runner.step_blocks import is_due, step_blocks
from mtl_jax.runner.trace import abstract_state
from mtl_jax.transfer import finetuning
from tests.small import RUN

CASES = [(24, 4, 8, 3), (25, 10, 7, 4), (9, 3, 2, 100), (7, 100, 100, 3), (5, 1, 5, 2)]


@pytest.mark.parametrize(("steps", "evaluate", "checkpoint", "block"), CASES)
def test_blocks_end_where_something_is_due(steps, evaluate, checkpoint, block):
    run = RUN.replace(steps=steps, evaluation={"every": evaluate, "checkpoint_every": checkpoint})
    whole = list(step_blocks(run, 0, block))
    starts, stops = zip(*whole, strict=True)
    assert (starts[0], stops[-1]) == (0, steps) and starts[1:] == stops[:-1]
    assert all(0 < stop - start <= block for start, stop in whole)
    for step in range(1, steps + 1):
        if step % evaluate == 0 or step % checkpoint == 0:
            assert step in stops
            assert is_due(run, step, evaluate) or is_due(run, step, checkpoint)


@pytest.mark.parametrize(("steps", "evaluate", "checkpoint", "block"), CASES)
def test_blocks_are_the_same_from_any_checkpoint(steps, evaluate, checkpoint, block):
    run = RUN.replace(steps=steps, evaluation={"every": evaluate, "checkpoint_every": checkpoint})
    whole = list(step_blocks(run, 0, block))
    for start in [*range(0, steps, checkpoint), steps]:
        assert list(step_blocks(run, start, block)) == [b for b in whole if b[0] >= start]


def test_due_at_the_end_too():
    run = RUN.replace(steps=10)
    assert [step for step in range(1, 11) if is_due(run, step, 4)] == [4, 8, 10]


def test_averages_are_over_steps_not_over_blocks():
    seen = [(3, {"loss/row": np.float32([1.0, 0.1])}), [1, {"loss/row": [5.0, 0.5]}]]
    found = mean_metrics(seen)
    assert found == {"loss/row": [2.0, (3 * float(np.float32(0.1)) + 0.5) / 4]}


def test_parameters_are_counted_for_one_seed():
    trunk, heads = 36 * 12 + 12, 2 * (12 * 3 + 3)  # by hand
    assert parameters(RUN, abstract_state(RUN)) == (trunk + heads, trunk + heads)
    frozen = RUN.replace(param_rules=finetuning.feature_extraction())
    assert parameters(frozen, abstract_state(frozen)) == (trunk + heads, heads)
