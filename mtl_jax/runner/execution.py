"""How a run is executed: loops by trunk and backend."""

import dataclasses

from mtl_jax.config.execution import Execution
from mtl_jax.config.run import Run
from mtl_jax.core.trunk import traits

# Fields of `Execution` that are no loops.
NOT_LOOPS = ("precision", "microbatches", "remat", "data_location", "num_workers")


def default_execution(run: Run, backend: str) -> Execution:
    """The execution of a run; by default, the loops are the fastest measured for its trunk."""
    own, fastest = run.execution or Execution(), fastest_loops(run, backend)
    kept = {name: getattr(own, name) for name in NOT_LOOPS}
    loops = dataclasses.replace(own, **dict.fromkeys(NOT_LOOPS))
    if run.execution is not None and (own == loops or loops != Execution()):
        return own
    return dataclasses.replace(fastest, **kept)


def fastest_loops(run: Run, backend: str) -> Execution:
    """The loops that were measured to be the fastest for a run's trunk on a backend."""
    branches = any(policy.has_branches for policy in run.augmentation.policies.values())
    if backend == "cpu" and traits(run.trunk).convolutional:
        unrolled = Execution(
            steps_per_call=1, step_loop="unroll", seed_loop="unroll", jacobian_loop="unroll"
        )
        return dataclasses.replace(unrolled, augment_loop="map" if branches else "vmap")
    if backend == "cpu" and branches:
        # Under vmap over seeds, all branches would be computed.
        return Execution(seed_loop="unroll", jacobian_loop="unroll", augment_loop="map")
    return Execution(jacobian_loop="unroll" if backend == "cpu" else "vmap")
