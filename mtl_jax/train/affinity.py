"""How tasks get on with each other at a state: cosines of their gradients, and one step ahead."""

from collections.abc import Callable
from typing import Any

import jax

from mtl_jax.config.run import Dispatch, Run
from mtl_jax.core.model import Net
from mtl_jax.core.tree import gram
from mtl_jax.metrics.affinity import lookahead
from mtl_jax.solvers.quadratic import cosines
from mtl_jax.train.batch import pick
from mtl_jax.train.state import Given, TrainState, trainable
from mtl_jax.train.step import batches_a_step, objective_on, rate_at
from mtl_jax.train.vjp import forward, side_by_side


def measure_affinity(
    run: Run, net: Net, dispatch: Dispatch, place: Callable[[Any], Any] = lambda batch: batch
) -> Callable[[TrainState, Given], dict[str, jax.Array]]:
    """Makes the measurement of one seed, on the batch and at the rate of its next step.

    Args:
      run: what is trained.
      net: its net.
      dispatch: how pull-backs lie side by side.
      place: put around the batch.

    Returns:
      `measure(state, given)`: the cosines of the tasks' gradients of the shared parameters, and
      the relative fall of each task's loss (columns) after a step for each task alone (rows),
      both `[K, K]`.
    """
    names = [task.name for task in run.tasks]

    def measure(state: TrainState, given: Given):
        kept, _ = trainable(run, state.params)
        number = batches_a_step(run) * state.step
        seen = objective_on(
            run,
            pick,
            number,
            net=net,
            state=state,
            given=given,
            place=place,
            how=dispatch.policies,
        )
        _, tape, *_ = forward(seen, kept, names, dispatch)
        found, _ = cosines(gram(tape.jacobian()["shared"]))
        ahead = lookahead(
            lambda shared: seen.losses({**kept, "shared": shared}),
            kept["shared"],
            rate_at(run, state.step),
            lambda step, choices: side_by_side(step, choices, dispatch),
        )
        return {"cosine": found, "lookahead": ahead}

    return measure
