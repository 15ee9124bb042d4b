"""Replays the step in which a run diverged, to find the operations that did it."""

from collections.abc import Mapping
from typing import Any

import jax

from mtl_jax.core.nonfinite_origin import find_origins
from mtl_jax.runner.compiled_run import CompiledRun
from mtl_jax.runner.error_messages import first_line
from mtl_jax.runner.loops import seed_of
from mtl_jax.storage.seeds import seed_axis
from mtl_jax.train import TrainData, TrainState, make_train_step


def describe_origins(compiled: CompiledRun, state: TrainState, data: TrainData, seed: int) -> str:
    """Says which operations of a step make the first inf and the first NaN, and where they are.

    An error in the replay is told instead: it must not hide that the run diverged.

    Args:
      compiled: the compiled run.
      state: the state `[S, ...]` before the step.
      data: the training data.
      seed: the index of the seed.
    """
    run = compiled.run
    step = make_train_step(run, compiled.step_model, compiled.execution)

    def outcome(state: TrainState, data: TrainData) -> Any:
        return params_and_losses(*step(state, data))

    try:
        own = seed_of((0, data.in_axes(seed_axis(run), 0)), (state, data), seed)
        origins = find_origins(outcome, *own)
    except Exception as error:  # noqa: BLE001
        return f"the operation was not found: {first_line(error)}"
    if not origins:
        return "no operation makes it if the step is repeated for this seed alone"
    return "\n".join(
        f"the first {each.value} is made by {each.operation} in {each.scope or 'the step'}, "
        f"{each.location}"
        for each in origins
    )


def params_and_losses(
    state: TrainState, metrics: Mapping[str, Any]
) -> tuple[Any, dict[str, jax.Array]]:
    """The parameters after a step, and its losses: what must be finite."""
    losses = {name: value for name, value in metrics.items() if name.startswith("loss/")}
    return state.params, losses
