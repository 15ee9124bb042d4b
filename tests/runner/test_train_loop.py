"""The loop: where blocks end, what is due, what an evaluation averages over."""

import numpy as np
import pytest

from mtl_jax.runner.train_loop import (
    Diverged,
    averaged,
    blocks,
    check_finite,
    due,
    parameters,
    shapes,
)
from mtl_jax.transfer import finetuning
from tests.small import RUN

CASES = [(24, 4, 8, 3), (25, 10, 7, 4), (9, 3, 2, 100), (7, 100, 100, 3), (5, 1, 5, 2)]


@pytest.mark.parametrize(("steps", "evaluate", "checkpoint", "block"), CASES)
def test_blocks_end_where_something_is_due(steps, evaluate, checkpoint, block):
    run = RUN.but(steps=steps, evaluate_every=evaluate, checkpoint_every=checkpoint)
    whole = list(blocks(run, 0, block))
    starts, stops = zip(*whole, strict=True)
    assert (starts[0], stops[-1]) == (0, steps) and starts[1:] == stops[:-1]
    assert all(0 < stop - start <= block for start, stop in whole)
    for step in range(1, steps + 1):
        if step % evaluate == 0 or step % checkpoint == 0:
            assert step in stops
            assert due(run, step, evaluate) or due(run, step, checkpoint)


@pytest.mark.parametrize(("steps", "evaluate", "checkpoint", "block"), CASES)
def test_blocks_are_the_same_from_any_checkpoint(steps, evaluate, checkpoint, block):
    run = RUN.but(steps=steps, evaluate_every=evaluate, checkpoint_every=checkpoint)
    whole = list(blocks(run, 0, block))
    for start in [*range(0, steps, checkpoint), steps]:
        assert list(blocks(run, start, block)) == [b for b in whole if b[0] >= start]


def test_due_at_the_end_too():
    run = RUN.but(steps=10)
    assert [step for step in range(1, 11) if due(run, step, 4)] == [4, 8, 10]


def test_averages_are_over_steps_not_over_blocks():
    seen = [(3, {"loss/row": np.float32([1.0, 0.1])}), [1, {"loss/row": [5.0, 0.5]}]]
    found = averaged(seen)
    assert found == {"loss/row": [2.0, (3 * float(np.float32(0.1)) + 0.5) / 4]}


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_loss_that_is_no_number_stops_the_run(value):
    fine = {"loss/row": [0.0, 1.0], "penalty": [np.nan, 0.0]}
    check_finite(RUN, {"step": 4, "train": fine})
    with pytest.raises(Diverged, match=rf"run 'hard' diverged: loss/column is {value} in seed 6"):
        wrong = {"step": 4, "train": fine | {"loss/column": [0.0, value]}}
        check_finite(RUN.but(first_seed=5), wrong)


def test_parameters_are_counted_for_one_seed():
    trunk, heads = 36 * 12 + 12, 2 * (12 * 3 + 3)  # by hand
    assert parameters(RUN, shapes(RUN)) == (trunk + heads, trunk + heads)
    frozen = RUN.but(plan=finetuning.feature_extraction())
    assert parameters(frozen, shapes(frozen)) == (trunk + heads, heads)
