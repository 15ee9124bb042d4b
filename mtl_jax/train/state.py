"""What flows through training, and what stands beside it."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.checks import BadInput
from mtl_jax.keys import named
from mtl_jax.nets import compose
from mtl_jax.protocols import JacobianCombiner, LossWeighting, Net
from mtl_jax.run import Run
from mtl_jax.transfer import graft
from mtl_jax.trees import matches, split


class TrainState(NamedTuple):
    """All that a step reads and writes; a checkpoint is this and nothing else."""

    step: jax.Array
    key: jax.Array
    params: Any
    stats: Any
    ema: Any
    opt: Any
    balance: Any
    consistency: dict[str, Any]


class Given(NamedTuple):
    """What a run trains on; it never changes. `index`, `mask`, `anchor` differ by seed."""

    image: jax.Array  # [N, ...]
    labels: dict[str, jax.Array]  # each [N, ...]
    index: jax.Array  # [L], which images have labels
    mask: dict[str, jax.Array]  # each [L], whose labels they are
    anchor: Any  # the parameters that a run with a source starts from, else None


# Axes for `jax.vmap` over seeds: the images are there once.
SEED_AXES = Given(image=None, labels=None, index=0, mask=0, anchor=0)


def net_of(run: Run) -> Net:
    """The net that the run trains."""
    return compose(run.trunk, {task.name: task.outputs for task in run.tasks}, run.freeze)


def trainable(run: Run, params: Any) -> tuple[Any, Any]:
    """Parts parameters in those that are trained and those that are frozen."""
    frozen = matches(params, run.freeze)
    return split(params, jax.tree.map(lambda held: not held, frozen))


def draw(net: Net, seed: jax.Array, shape: tuple[int, ...]) -> tuple[Any, Any]:
    """Parameters and statistics of a fresh net, by the seed `[]` and the shape of an image."""
    sample = jnp.zeros((1, *shape), jnp.float32)
    return net.init(named(jax.random.key(seed), "init"), sample)


def create(
    run: Run, seed: jax.Array, image: jax.Array, drawn: tuple[Any, Any], source: Any = None
) -> TrainState:
    """State before the first step.

    Args:
      run: what is trained.
      seed: `[]`, a whole number.
      image: the training images `[N, ...]`; only their shape counts.
      drawn: what `draw` made of the same seed.
      source: parameters and statistics `(params, stats)` that the source run ended with.

    Returns:
      A `TrainState` for one seed. Frozen parameters have no optimizer state.

    Raises:
      BadInput: if the source's trunk does not fit, or a `freeze` pattern matches nothing.
    """
    params, stats = drawn
    if source is not None:
        loaded, stats = source
        params = graft(params, loaded["shared"])
    if not jax.tree.leaves(params["shared"]) and not isinstance(run.balance, LossWeighting):
        raise BadInput(
            f"run {run.name!r}: {run.balance!r} balances shared parameters, there are none"
        )
    kept, _ = trainable(run, params)
    balance = start_balance(run.balance, len(run.tasks), params["shared"])
    by_rows = isinstance(run.balance, JacobianCombiner) and jax.tree.leaves(balance)
    if run.weighing.space == "representation" and by_rows:
        raise BadInput(
            f"run {run.name!r}: {run.balance!r} keeps a state of the shared parameters' shapes, "
            "so weighing.space must be 'parameters'"
        )
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        key=jax.random.key(seed),
        params=params,
        stats=stats,
        ema=params,
        opt=run.optimizer.build(run.steps).init(kept),
        balance=balance,
        consistency={
            task.name: task.consistency.init(task.outputs, image.shape[0])
            for task in run.tasks
            if task.consistency is not None
        },
    )


def start_balance(method: Any, num_tasks: int, shared: Any) -> Any:
    """A balancing method's state before the first step, by the parameters it balances."""
    if isinstance(method, JacobianCombiner):
        return method.init(num_tasks, shared)
    return method.init(num_tasks)
