"""What a step computes on its way from the batch to the gradient, to find what is not finite."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.config.execution import Execution
from mtl_jax.config.param_rules import partition_params
from mtl_jax.config.run import Run
from mtl_jax.core.model import Model
from mtl_jax.core.step_types import Batch, TrainData, TrainState
from mtl_jax.core.tree import Tree
from mtl_jax.train.extensions import extensions_of
from mtl_jax.train.step import apply_before_step, balance_losses, forward_at
from mtl_jax.train.step_losses import Setup, batches_at, batches_per_step, objectives_at


class StepQuantities(NamedTuple):
    """Quantities of a step; trees have, for each parameter, whether its gradient is finite."""

    batches: dict[str, Batch]  # By stream.
    losses: jax.Array  # [K]
    gradients: dict[str, Tree]  # By task.
    gramian: jax.Array  # [K, K], of the gradients of the shared parameters.
    combined: Tree  # The gradient that the balance makes of them.


def make_inspection(
    run: Run, model: Model, execution: Execution, shard_batch: Callable = lambda batch: batch
) -> Callable[[TrainState, TrainData], StepQuantities]:
    """Makes the function from a state and data to the quantities of its step, of one seed.

    Args:
      run: the run configuration.
      model: the model of the run.
      execution: how Jacobians and augmentations are computed.
      shard_batch: applied to the batch.
    """
    setup = Setup(run, model, execution, shard_batch)
    names = tuple(task.name for task in run.tasks)

    def inspect(state: TrainState, data: TrainData) -> StepQuantities:
        state = apply_before_step(extensions_of(run), state)
        params, _ = partition_params(state.params, run.param_rules)
        _, batches = batches_at(setup, state, data, batches_per_step(run) * state.step)
        objectives = objectives_at(setup, state, data)
        losses, pullback, *_ = forward_at(setup, objectives, params, state, data)
        gradients = {
            name: pullback.vjp(jnp.zeros_like(losses).at[k].set(1.0))
            for k, name in enumerate(names)
        }
        rows = [jax.tree.leaves(gradient["shared"]) for gradient in gradients.values()]
        products = [[sum(map(jnp.vdot, a, b), jnp.zeros(())) for b in rows] for a in rows]
        combined = balance_losses(run, losses, pullback, state).gradient
        return StepQuantities(
            batches,
            losses,
            {name: are_finite(gradient) for name, gradient in gradients.items()},
            jnp.stack([jnp.stack(row) for row in products]),
            are_finite(combined),
        )

    return inspect


def are_finite(tree: Tree) -> Tree:
    """Whether each leaf is finite."""
    return jax.tree.map(lambda leaf: jnp.isfinite(leaf).all(), tree)
