"""Whether a run can fit into memory at all, by the shapes alone."""

import contextlib
import os
import pathlib

import jax
import numpy as np

from mtl_jax import train
from mtl_jax.config.optimizers import Adam
from mtl_jax.config.run import Run
from mtl_jax.core.validation import BadInput
from mtl_jax.runner.part_checks import drawn
from mtl_jax.storage.run_data import described, single_seed

LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def check_room(run: Run) -> None:
    """Refuses a run that needs more memory than there is, before its data is read.

    What it needs at least: the training data; the parameters, their average and the moments of
    the optimizer, of all seeds; and the inputs and outputs of one batch. Activations and
    gradients are not counted, so a run that passes may still be too large.

    Raises:
      BadInput: saying how much of what is needed.
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
    """Bytes that a run needs at least, by what they are for."""
    given = described(run)
    alone = single_seed(run, given)
    image = train.example(next(iter(alone.streams.values())).image)
    params, stats = drawn(run, alone)
    copies = 2 + (0 if run.plan else 1 + isinstance(run.optimizer, Adam))
    asked = any(task.consistency is not None for task in run.tasks)
    examples = run.batch * (1 + run.unlabelled_ratio if asked else 1) * run.seeds
    logits = 4 * sum(task.outputs for task in run.tasks)
    one = int(np.prod(image.shape, dtype=object)) * image.dtype.itemsize
    return {
        "data": bytes_of([(s.image, s.labels, s.known) for s in given.streams.values()]),
        "parameters and optimizer": copies * bytes_of(params) + bytes_of(stats),
        "a batch": examples * (one + logits),
    }


def bytes_of(tree) -> int:
    """Bytes of shapes, counted in whole numbers of any length."""
    leaves = jax.tree.leaves(tree)
    return sum(
        int(np.prod(leaf.shape, dtype=object)) * np.dtype(leaf.dtype).itemsize for leaf in leaves
    )


def memory() -> int:
    """Bytes that all local devices have: of accelerators their own, else this machine's."""
    stats = [device.memory_stats() or {} for device in jax.local_devices()]
    if all("bytes_limit" in each for each in stats):
        return sum(each["bytes_limit"] for each in stats)
    found = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for path in map(pathlib.Path, LIMITS):
        with contextlib.suppress(OSError, ValueError):
            found.append(int(path.read_text(encoding="utf-8")))
    return min(found)


def size_text(size: int) -> str:
    """A number of bytes in a unit that is easy to read."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:,.3g} TB" if size < 1e6 else f"{size:.1e} TB"
