"""Task affinity at a state: gradient cosines and inter-task lookahead affinity."""

from collections.abc import Callable
from typing import Any

import jax

from mtl_jax.config.execution import Execution
from mtl_jax.config.param_rules import partition_params
from mtl_jax.config.run import Run
from mtl_jax.core.model import Model
from mtl_jax.core.step_types import TrainData, TrainState
from mtl_jax.core.tree import gram
from mtl_jax.metrics.affinity import inter_task_affinity
from mtl_jax.solvers.quadratic import cosines
from mtl_jax.train.step_losses import Setup, objectives_at
from mtl_jax.train.updates import learning_rate_at
from mtl_jax.train.vjp import batched_map, forward_vjp


def measure_affinity(
    run: Run,
    model: Model,
    execution: Execution,
    shard_batch: Callable[[Any], Any] = lambda batch: batch,
) -> Callable[[TrainState, TrainData], dict[str, jax.Array]]:
    """Makes the affinity measurement of one seed, on the batch and learning rate of the next step.

    Args:
      run: the run configuration.
      model: the model of the run.
      execution: how Jacobians are computed.
      shard_batch: applied to the batch.

    Returns:
      `measure(state, data)`: the cosines of the task gradients with respect to the shared
      parameters, and the relative decrease of each task's loss (columns) after a step on each
      single task (rows), both `[K, K]`.
    """
    setup = Setup(run, model, execution, shard_batch)
    names = tuple(task.name for task in run.tasks)

    def measure(state: TrainState, data: TrainData):
        params, _ = partition_params(state.params, run.param_rules)
        objective, *_ = objectives_at(setup, state, data)
        pullback = forward_vjp(objective, params, names, execution).pullback
        found, _ = cosines(gram(pullback.jacobian()["shared"]))
        ahead = inter_task_affinity(
            lambda shared: objective.losses({**params, "shared": shared}),
            params["shared"],
            learning_rate_at(run, state.step),
            lambda step, choices: batched_map(step, choices, execution),
        )
        return {"cosine": found, "lookahead": ahead}

    return measure
