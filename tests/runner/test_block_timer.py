"""Throughput: which blocks count, and how many examples there are in a step."""

import math

import pytest

from mtl_jax import aggregation, consistency
from mtl_jax.runner import block_timer
from mtl_jax.runner.block_timer import BlockTimer
from mtl_jax.runner.trace import trace_run
from mtl_jax.train import examples_per_step
from tests.small import ROW, RUN, UNLABELLED


def test_the_first_block_of_each_length_does_not_count(monkeypatch):
    now = 0.0
    monkeypatch.setattr(block_timer.time, "perf_counter", lambda: now)
    timer = BlockTimer(examples_per_step=10)
    blocks = [(4, 9.0, True), (4, 2.0, True), (1, 9.0, True), (1, 3.0, True), (4, 9.0, False)]
    for steps, seconds, counts in blocks:
        with timer.measure(steps, counts):
            now += seconds
        now += 100.0  # Evaluation.
    assert timer.examples_per_second == 10 * 5 / 5.0
    assert timer.is_compiled(4) and not timer.is_compiled(2)


def test_no_throughput_without_a_block():
    timer = BlockTimer(examples_per_step=10)
    assert timer.examples_per_second is None
    with timer.measure(3):
        pass
    assert timer.examples_per_second is None


EXAMPLES = {  # Batches of 8; twice as many unlabelled examples.
    "supervised": (RUN, 8),
    "unlabelled": (UNLABELLED, 8 + 16),
    "no labelled images": (
        RUN.replace(tasks=(ROW.replace(auxiliary=consistency.MixMatch()),)), 8 + 16
    ),
    "three batches": (RUN.replace(balance=aggregation.MoDo()), 3 * 8),
}  # fmt: skip


@pytest.mark.parametrize("case", list(EXAMPLES))
def test_examples_of_a_step_are_those_of_its_batches(case):
    run, expected = EXAMPLES[case]
    compiled, state, data = trace_run(run, 2)
    assert examples_per_step(run, data) == expected
    batches = compiled.inspect.eval_shape(state, data).batches.values()
    sizes = [
        math.prod(b.labelled_index.shape) + math.prod(b.unlabelled_index.shape) for b in batches
    ]
    assert sum(sizes) / run.num_seeds in (expected, expected / 3)
