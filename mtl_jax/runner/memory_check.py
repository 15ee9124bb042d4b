"""Lower bound on the memory of a run, from shapes alone."""

import jax
import numpy as np

from mtl_jax import train
from mtl_jax.config.run import Run
from mtl_jax.core.tree import Tree
from mtl_jax.core.validation import BadInput
from mtl_jax.runner.part_checks import init_abstract
from mtl_jax.runner.streamed_shapes import streamed_shapes
from mtl_jax.storage.abstract_data import abstract_data, single_seed
from mtl_jax.storage.data_location import data_location
from mtl_jax.storage.memory import bytes_of, device_memory


def check_room(run: Run) -> None:
    """Rejects a run that needs more memory than available, before its data is read.

    The lower bound counts the training data, or those of a step if they are streamed; the parameters, their average and the moments of
    the optimizer, for all seeds; and the inputs and outputs of one batch. Activations and
    gradients are not counted, so a run that passes may still be too large.

    Raises:
      BadInput: with the required memory by purpose.
    """
    available = device_memory()
    sizes = required_bytes(run)
    total = sum(sizes.values())
    if total > available:
        parts = ", ".join(f"{purpose} {size_text(size)}" for purpose, size in sizes.items())
        raise BadInput(
            f"run {run.name!r}: needs at least {size_text(total)} of memory "
            f"({parts}), there are {size_text(available)}"
        )


def required_bytes(run: Run) -> dict[str, int]:
    """Lower bound on the bytes that a run needs, by purpose."""
    data = abstract_data(run)
    placed = data if data_location(run, data) == "device" else streamed_shapes(run, data, 1)
    seed_data = single_seed(run, data)
    example = train.example_spec(next(iter(seed_data.streams.values())).inputs)
    params, stats = init_abstract(run, seed_data)
    moments = [] if run.param_rules else moments_of(run, params)
    has_auxiliary = any(task.auxiliary is not None for task in run.tasks)
    ratio = 1 + run.labels.unlabelled_ratio if has_auxiliary else 1
    examples = run.batch_size * ratio * run.num_seeds
    logits = 4 * sum(task.num_outputs for task in run.tasks)
    return {
        "data": bytes_of([(s.inputs, s.labels, s.labelled) for s in placed.streams.values()]),
        "parameters and optimizer": bytes_of((params, params, moments, stats)),
        "a batch": examples * (bytes_of(example) + logits),
    }


def moments_of(run: Run, params: Tree) -> list[jax.ShapeDtypeStruct]:
    """Shapes `[S, ...]` of what the optimizer keeps of parameters `[S, ...]`, counters excepted."""
    state = jax.eval_shape(jax.vmap(run.optimizer.build(run.steps).init), params)
    return [leaf for leaf in jax.tree.leaves(state) if np.issubdtype(leaf.dtype, np.floating)]


def size_text(size: float) -> str:
    """Formats a number of bytes with a readable unit."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:,.3g} TB" if size < 1e6 else f"{size:.1e} TB"
