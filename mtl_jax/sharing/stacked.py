"""Shared input handling of the penalties: one trunk per task, with kernels as matrices."""

from collections.abc import Callable

import jax

from mtl_jax.core.penalty import Penalty
from mtl_jax.core.tree import Tree
from mtl_jax.core.validation import BadInput


def stacked_trunks(penalty: Penalty, params: Tree) -> Tree:
    """The stacked trunks of all tasks, a pytree of leaves `[K, ...]`.

    Raises:
      BadInput: if the tasks have no separate trunks.
    """
    trunks = params["tasks"].get("trunk")
    if not jax.tree.leaves(trunks):
        name = type(penalty).__name__
        raise BadInput(f"{name} needs one trunk a task: trunk=nets.PerTaskTrunk(...)")
    return trunks


def require_tasks(stacked: Tree) -> None:
    """Requires leaves with a common leading axis K.

    Raises:
      ValueError: if there is no leaf, or K differs between leaves.
    """
    sizes = {leaf.shape[:1] for leaf in jax.tree.leaves(stacked)}
    if len(sizes) != 1 or () in sizes:
        raise ValueError(f"stacked needs leaves [K, ...] of one K, not leading axes {sizes}")


def kernels_of(stacked: Tree) -> list[jax.Array]:
    """The kernels of all tasks: leaves `[K, ...]` with at least two more axes.

    Raises:
      ValueError: if there is no kernel, or K differs between leaves.
    """
    require_tasks(stacked)
    kernels = [leaf for leaf in jax.tree.leaves(stacked) if is_kernel(leaf)]
    if not kernels:
        raise ValueError("stacked needs a kernel, a leaf [K, ...] with two more axes")
    return kernels


def kernel_matrices(stacked: Tree) -> list[jax.Array]:
    """Each kernel as a matrix `[K, D]`, one row per task; raises like `kernels_of`."""
    return [as_rows(kernel) for kernel in kernels_of(stacked)]


def is_kernel(leaf: jax.Array) -> bool:
    """Whether a leaf `[K, ...]` is a kernel, with at least two more axes (no bias or norm)."""
    return leaf.ndim >= 3


def as_rows(kernel: jax.Array) -> jax.Array:
    """Reshapes a kernel `[K, ...]` to a matrix `[K, D]`."""
    return kernel.reshape(kernel.shape[0], -1)


def apply_prox(penalty: Penalty, params: Tree, prox: Callable[[jax.Array], jax.Array]) -> Tree:
    """Applies `prox` to the trunks' kernels as matrices `[K, D]`; raises like `stacked_trunks`."""

    def apply(leaf):
        return prox(as_rows(leaf)).reshape(leaf.shape) if is_kernel(leaf) else leaf

    trunk = jax.tree.map(apply, stacked_trunks(penalty, params))
    return {**params, "tasks": {**params["tasks"], "trunk": trunk}}


def num_tasks_of(stacked: Tree) -> int:
    """The number K of tasks; raises like `require_tasks`."""
    require_tasks(stacked)
    return jax.tree.leaves(stacked)[0].shape[0]
