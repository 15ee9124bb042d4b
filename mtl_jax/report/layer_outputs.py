"""What layers of the tasks compute on test examples, with the trained parameters of a run."""

import functools
import math
from collections.abc import Callable, Hashable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from mtl_jax.config.run import Run
from mtl_jax.storage.run_data import load_run_data
from mtl_jax.storage.run_directory import RunDirectory
from mtl_jax.storage.seeds import seed_axis
from mtl_jax.storage.trained_params import load_trained_params
from mtl_jax.train import build_model
from mtl_jax.train.views import as_float

MAX_EXAMPLES = 200
MAX_NUMBERS = 4_000_000  # In inputs.

Place = tuple[str, Hashable]  # A task, and where in its network a layer is.
Read = Callable[[nn.Module, Any], Mapping[Place, jax.Array]]  # Of a layer and its outputs.


def outputs_by_task(
    run: Run, folder: RunDirectory, read: Read, why: str, num_seeds: int
) -> dict[str, dict[Any, np.ndarray]]:
    """What `read` takes of the layers of each task, `[S, ...]` by place, in the order of places.

    Args:
      run: a finished run.
      folder: its folder.
      read: takes an array from the outputs of a layer, or nothing.
      why: why the parameters are loaded, for the error message.
      num_seeds: number S of seeds, from the first one.

    Raises:
      BadInput: if the parameters are missing or damaged.
    """
    apply = jax.jit(functools.partial(read_layers, build_model(run), read))
    found: dict[str, dict[Any, np.ndarray]] = {}
    for arrays in load_run_data(run).splits["test"].values():
        by_params: dict[str, list[dict[Place, np.ndarray]]] = {}
        for task in (task.name for task in run.tasks if task.name in arrays):
            own = task if run.evaluation.selection == "per_task" else ""
            if own not in by_params:
                trained = load_trained_params(run, folder, "selected", task, why)
                by_params[own] = [
                    jax.device_get(apply(*of_seed(trained, seed), first_inputs(run, arrays, seed)))
                    for seed in range(num_seeds)
                ]
            seeds = by_params[own]
            found[task] = {
                place: np.stack([each[task, place] for each in seeds])
                for name, place in sorted(seeds[0])
                if name == task
            }
    return found


def of_seed(trained: Any, seed: int) -> Any:
    """The part of one seed of arrays `[S, ...]`."""
    return jax.tree.map(lambda leaf: leaf[seed], trained)


def first_inputs(run: Run, arrays: Mapping[str, Any], seed: int) -> Any:
    """Inputs of the first examples of a seed, at most 200, fewer of large ones."""
    inputs = arrays["inputs"]
    if seed_axis(run) == 0:
        inputs = of_seed(inputs, seed)
    size = sum(math.prod(leaf.shape[1:]) for leaf in jax.tree.leaves(inputs))
    count = min(MAX_EXAMPLES, max(1, MAX_NUMBERS // size))
    return jax.tree.map(lambda leaf: jnp.asarray(leaf[:count]), inputs)


def read_layers(
    model: Any, read: Read, params: Any, stats: Any, inputs: Any
) -> dict[Place, jax.Array]:
    """What `read` takes of the calls of the layers of a model that does not train."""
    found: dict[Place, jax.Array] = {}

    def record(call, args, kwargs, context):
        outputs = call(*args, **kwargs)
        if context.method_name == "__call__":
            found.update(read(context.module, outputs))
        return outputs

    with nn.intercept_methods(record):
        model.apply(params, stats, as_float(inputs), train=False)
    return found
