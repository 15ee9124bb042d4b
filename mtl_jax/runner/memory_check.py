"""Lower bound on the memory of a run, from shapes alone."""

import contextlib
import os
import pathlib

import jax
import numpy as np

from mtl_jax import train
from mtl_jax.config.run import Run
from mtl_jax.core.tree import Tree
from mtl_jax.core.validation import BadInput
from mtl_jax.runner.part_checks import init_abstract
from mtl_jax.storage.abstract_data import abstract_data, single_seed

LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def check_room(run: Run) -> None:
    """Rejects a run that needs more memory than available, before its data is read.

    The lower bound counts the training data; the parameters, their average and the moments of
    the optimizer, for all seeds; and the inputs and outputs of one batch. Activations and
    gradients are not counted, so a run that passes may still be too large.

    Raises:
      BadInput: with the required memory by purpose.
    """
    available = total_memory()
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
    seed_data = single_seed(run, data)
    example = train.example_spec(next(iter(seed_data.streams.values())).inputs)
    params, stats = init_abstract(run, seed_data)
    moments = [] if run.param_rules else moments_of(run, params)
    has_auxiliary = any(task.auxiliary is not None for task in run.tasks)
    ratio = 1 + run.labels.unlabelled_ratio if has_auxiliary else 1
    examples = run.batch_size * ratio * run.num_seeds
    logits = 4 * sum(task.num_outputs for task in run.tasks)
    return {
        "data": bytes_of([(s.inputs, s.labels, s.labelled) for s in data.streams.values()]),
        "parameters and optimizer": bytes_of((params, params, moments, stats)),
        "a batch": examples * (bytes_of(example) + logits),
    }


def moments_of(run: Run, params: Tree) -> list[jax.ShapeDtypeStruct]:
    """Shapes `[S, ...]` of what the optimizer keeps of parameters `[S, ...]`, counters excepted."""
    state = jax.eval_shape(jax.vmap(run.optimizer.build(run.steps).init), params)
    return [leaf for leaf in jax.tree.leaves(state) if np.issubdtype(leaf.dtype, np.floating)]


def bytes_of(tree: Tree) -> int:
    """Bytes of a tree of shapes, computed with Python integers, which do not overflow."""
    leaves = jax.tree.leaves(tree)
    return sum(
        int(np.prod(leaf.shape, dtype=object)) * np.dtype(leaf.dtype).itemsize for leaf in leaves
    )


def total_memory() -> int:
    """Total memory of the local devices in bytes: the accelerators', else the machine's."""
    stats = [device.memory_stats() or {} for device in jax.local_devices()]
    if all("bytes_limit" in device for device in stats):
        return sum(device["bytes_limit"] for device in stats)
    limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for path in map(pathlib.Path, LIMITS):
        with contextlib.suppress(OSError, ValueError):
            limits.append(int(path.read_text(encoding="utf-8")))
    return min(limits)


def size_text(size: float) -> str:
    """Formats a number of bytes with a readable unit."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:,.3g} TB" if size < 1e6 else f"{size:.1e} TB"
