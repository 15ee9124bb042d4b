"""Finds the step, the seed and the quantity in which a run became non-finite."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from mtl_jax.config.run import Run
from mtl_jax.core.head_key import HeadKey
from mtl_jax.core.tree import path_str
from mtl_jax.runner.compiled_run import CompiledRun
from mtl_jax.runner.replay import describe_origins, params_and_losses
from mtl_jax.storage.processes import fetch, is_first
from mtl_jax.storage.run_directory import RunDirectory
from mtl_jax.train import StepQuantities, TrainData, TrainState


class Diverged(FloatingPointError):
    """A loss or parameter is not finite; earlier progress is stored on disk."""


class NonFinite(NamedTuple):
    """The first quantity that is not finite."""

    seed: int  # Index of the seed.
    text: str  # Such as "loss/row is nan".


def diverged_seeds(state: TrainState, metrics: Mapping[str, Any]) -> np.ndarray:
    """Which seeds `[S]` have a loss or a parameter that is not finite after a block."""
    return ~fetch(finite_seeds(params_and_losses(state, metrics)))


@jax.jit
def finite_seeds(tree: Any) -> jax.Array:
    """Whether all leaves `[S, ...]` are finite, by seed."""
    leaves = [leaf for leaf in jax.tree.leaves(tree) if np.issubdtype(leaf.dtype, np.inexact)]
    finite = [jax.numpy.isfinite(leaf).reshape(leaf.shape[0], -1).all(1) for leaf in leaves]
    return jax.numpy.stack(finite).all(0)


def locate(
    compiled: CompiledRun,
    state: TrainState,
    data: Callable[[int, int], TrainData],
    steps: range,
    folder: RunDirectory,
    debug: bool = False,
) -> Diverged:
    """The error of a run that diverged within some steps, which are repeated one by one.

    The batch of the step is written to `failure.npz`.

    Args:
      compiled: the compiled run.
      state: the state before the first of the steps, which is donated.
      data: gives the training data of the steps after the first number, to the second.
      steps: the numbers of the steps, from 1.
      folder: the folder of the run.
      debug: whether a note of the error says which operation made the number.
    """
    run = compiled.run
    for step in steps:
        before = jax.tree.map(jax.numpy.copy, state)
        own = data(step - 1, step)
        state, metrics = compiled.train_steps(state, own, 1)
        if diverged_seeds(state, metrics).any():
            quantities = fetch(compiled.inspect(before, own))
            found = first_nonfinite(run, quantities, fetch((state.params, metrics)))
            place = write_batch(folder, batch_arrays(quantities, found.seed))
            error = Diverged(
                f"run {run.name!r} diverged: {found.text} in seed {run.first_seed + found.seed} at "
                f"step {step}, whose batch {place}"
            )
            if debug:
                error.add_note(describe_origins(compiled, before, own, found.seed))
            return error
    return Diverged(
        f"run {run.name!r} diverged: a loss or a parameter is not finite after one of the steps "
        f"{steps[0]} to {steps[-1]}, but is if they are repeated one by one"
    )


def write_batch(folder: RunDirectory, arrays: dict[str, np.ndarray]) -> str:
    """Writes a batch to `failure.npz`; says where it is, or why it is not."""
    path = folder.path / "failure.npz"
    if not is_first():
        return f"is in {path.name}"
    try:
        np.savez(path, **arrays)  # ty: ignore[invalid-argument-type]
    except OSError as error:
        path.unlink(missing_ok=True)
        return f"could not be stored: {error}"
    return f"is in {path.name}"


def first_nonfinite(run: Run, quantities: StepQuantities, after: tuple[Any, Any]) -> NonFinite:
    """The first quantity of a step that is not finite, in the order of its computation.

    Args:
      run: the run configuration.
      quantities: the quantities of all seeds.
      after: parameters and metrics after the step.
    """
    params, metrics = after
    checks = [
        *((f"input of {name}", leaf) for name, leaf in inputs_of(quantities)),
        *((f"loss/{task.name}", quantities.losses[:, k]) for k, task in enumerate(run.tasks)),
        *gradients_of(run, quantities),
        (f"Gram matrix of {type(run.balance).__name__}", quantities.gramian),
        *named_leaves(f"gradient by {type(run.balance).__name__} at ", quantities.combined),
        *named_leaves("parameter ", params),
        *metrics.items(),
    ]  # fmt: skip
    for name, values in checks:
        bad = ~values if values.dtype == bool else ~np.isfinite(values)
        seeds = np.flatnonzero(bad.reshape(len(bad), -1).any(1))
        if seeds.size:
            is_number = values.ndim == 1 and values.dtype != bool
            value = values[seeds[0]] if is_number else "not finite"
            return NonFinite(int(seeds[0]), f"{name} is {value}")
    raise AssertionError("something must be non-finite")


def gradients_of(run: Run, quantities: StepQuantities) -> list[tuple[str, np.ndarray]]:
    """Whether the gradient of each task is finite by parameter, of its own heads first.

    The others are not finite either where the loss of any task has an infinite slope.
    """
    found = []
    for task in run.tasks:
        own = f"{HeadKey(task.name).path}/"
        for path, leaf in named_leaves("", quantities.gradients[task.name]):
            name = f"gradient of {task.name!r} at {path}"
            found.append((not path.startswith(own), name, leaf))
    return [(name, leaf) for _, name, leaf in sorted(found, key=lambda entry: entry[0])]


def inputs_of(quantities: StepQuantities) -> Iterator[tuple[str, np.ndarray]]:
    """The inputs of floats `[S, n, ...]` of all batches, with their names."""
    for stream, batch in quantities.batches.items():
        for name, leaf in named_leaves(f"{stream}/" if stream else "", batch.inputs):
            if np.issubdtype(leaf.dtype, np.floating):
                yield name, leaf


def batch_arrays(quantities: StepQuantities, seed: int) -> dict[str, np.ndarray]:
    """Inputs and labels of the batches of one seed, by name."""
    arrays = {}
    for stream, batch in quantities.batches.items():
        prefix = f"{stream}/" if stream else ""
        arrays |= dict(named_leaves(f"{prefix}inputs/", batch.inputs))
        arrays |= dict(named_leaves(f"{prefix}labels/", batch.labels))
    return {name: array[seed] for name, array in arrays.items()}


def named_leaves(prefix: str, tree: Any) -> list[tuple[str, np.ndarray]]:
    """The leaves of a tree with their paths."""
    return [(prefix + path_str(p), leaf) for p, leaf in jax.tree_util.tree_leaves_with_path(tree)]
