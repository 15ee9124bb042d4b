"""Lower bound on the memory of a run, from shapes alone."""

import contextlib
import os
import pathlib

import jax
import numpy as np

from mtl_jax import train
from mtl_jax.config.optimizers import Adam
from mtl_jax.config.run import Run
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
    there = memory()
    needs = needed(run)
    if sum(needs.values()) > there:
        parts = ", ".join(f"{what} {size_text(size)}" for what, size in needs.items())
        raise BadInput(
            f"run {run.name!r}: needs at least {size_text(sum(needs.values()))} of memory "
            f"({parts}), there are {size_text(there)}"
        )


def needed(run: Run) -> dict[str, int]:
    """Lower bound on the bytes that a run needs, by purpose."""
    given = abstract_data(run)
    alone = single_seed(run, given)
    image = train.example_spec(next(iter(alone.streams.values())).image)
    params, stats = init_abstract(run, alone)
    copies = 2 + (0 if run.param_rules else 1 + isinstance(run.optimizer, Adam))
    asked = any(task.auxiliary is not None for task in run.tasks)
    examples = run.batch_size * (1 + run.labels.unlabelled_ratio if asked else 1) * run.num_seeds
    logits = 4 * sum(task.num_outputs for task in run.tasks)
    one = int(np.prod(image.shape, dtype=object)) * image.dtype.itemsize
    return {
        "data": bytes_of([(s.image, s.labels, s.labelled) for s in given.streams.values()]),
        "parameters and optimizer": copies * bytes_of(params) + bytes_of(stats),
        "a batch": examples * (one + logits),
    }


def bytes_of(tree) -> int:
    """Bytes of a tree of shapes, computed with Python integers, which do not overflow."""
    leaves = jax.tree.leaves(tree)
    return sum(
        int(np.prod(leaf.shape, dtype=object)) * np.dtype(leaf.dtype).itemsize for leaf in leaves
    )


def memory() -> int:
    """Total memory of the local devices in bytes: the accelerators', else the machine's."""
    stats = [device.memory_stats() or {} for device in jax.local_devices()]
    if all("bytes_limit" in each for each in stats):
        return sum(each["bytes_limit"] for each in stats)
    found = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for path in map(pathlib.Path, LIMITS):
        with contextlib.suppress(OSError, ValueError):
            found.append(int(path.read_text(encoding="utf-8")))
    return min(found)


def size_text(size: int) -> str:
    """Formats a number of bytes with a readable unit."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:,.3g} TB" if size < 1e6 else f"{size:.1e} TB"
