"""Blocks of steps that end at evaluations and checkpoints."""

from collections.abc import Iterator

from mtl_jax.config.execution import Execution
from mtl_jax.config.run import Run


def step_blocks(run: Run, start: int, block: int) -> Iterator[tuple[int, int]]:
    """Blocks of steps `(start, stop)` that end at every evaluation and checkpoint."""
    while start < run.steps:
        stops = [
            start - start % every + every
            for every in (run.evaluation.every, run.evaluation.checkpoint_every)
        ]
        stop = min(run.steps, start + block, *stops)
        yield start, stop
        start = stop


def first_block(run: Run, execution: Execution) -> int:
    """Length of the first block of steps."""
    _, stop = next(step_blocks(run, 0, execution.steps_per_call))
    return stop


def is_due(run: Run, step: int, every: int) -> bool:
    """Whether an action that happens every `every` steps and at the end is due."""
    return step % every == 0 or step == run.steps
